use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tocsin_exchange::{Format, ListReader, Rejects};
use tocsin_model::{BankEntry, BankName, ListUpdate};
use tocsin_store::{STAGED_MAX, Store};
use tocsin_velocity::WATCHED_MAX;
use tokio::sync::mpsc;

use super::sorted::{Merged, RUN_BYTES, Sorter};

/// Puts a list in the place of a bank's.
///
/// The list is read and sorted first, then written beside the one in force, then put in its place in one transaction: whoever ends in between
/// leaves the old list. Takes about 110 MB of memory whatever its length, and temporary files of about its own size.
#[derive(Debug, Args)]
pub struct ImportCommand {
    /// Its form: local-file, csv, threatexchange, tech-against-terrorism, stopncii or hma.
    #[arg(long, value_parser = format_of)]
    format: Format,
    /// Into which bank. `tocsin watch bank` makes one.
    #[arg(long)]
    bank: BankName,
    /// Take an empty list too. Without this a list of which nothing can be used leaves the old one in force.
    #[arg(long)]
    allow_empty: bool,
    /// The file; - for the standard input.
    file: PathBuf,
}

/// How often something is said of how far it is, in entries.
const SAY_EVERY: u64 = 250_000;

fn format_of(name: &str) -> Result<Format, String> {
    let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    Format::from_name(name).ok_or_else(|| format!("one of {}", names.join(", ")))
}

/// What was read.
struct Taken {
    updates: u64,
    rejects: Rejects,
    merged: Merged,
}

/// What became of the sorted list.
#[derive(Default)]
struct Told {
    withdrawn: u64,
    doubles: u64,
}

impl ImportCommand {
    pub async fn run(&self, store: &Store) -> Result<()> {
        let banks = store.banks().await?;
        ensure!(
            banks.iter().any(|bank| bank.name == self.bank),
            "there is no bank {0}: tocsin watch bank {0} --source WHOSE",
            self.bank
        );
        let (format, file) = (self.format, self.file.clone());
        let taken = tokio::task::spawn_blocking(move || match file.as_os_str() == "-" {
            true => take(format, io::stdin().lock()),
            false => take(
                format,
                File::open(&file).with_context(|| format!("open {}", file.display()))?,
            ),
        })
        .await??;
        let Taken {
            updates,
            rejects,
            merged,
        } = taken;
        eprintln!("read {updates} updates, refused {}", rejects.total());

        let (sender, mut batches) = mpsc::channel(2);
        let telling = tokio::task::spawn_blocking(move || tell(merged, &sender));
        let mut staged = store.begin_list(&self.bank).await?;
        let mut said = 0;
        while let Some(batch) = batches.recv().await {
            store.stage(&mut staged, &batch).await?;
            if staged.entries() >= said + SAY_EVERY {
                said = staged.entries();
                eprintln!("written {said} entries");
            }
        }
        let Told { withdrawn, doubles } = telling.await??;
        ensure!(
            staged.entries() > 0 || self.allow_empty,
            "the list has no usable entry ({rejects}): the old one stays in force; --allow-empty takes it all the same"
        );
        let switched = store.switch_list(staged).await?;
        let (bank, before, after) = (&self.bank, switched.before, switched.after);
        println!("{bank} has {after} entries; it had {before}.");
        println!(
            "withdrawn {withdrawn}, said more than once {doubles}, refused {}",
            rejects.total()
        );
        if rejects.total() > 0 {
            println!("refused: {rejects}");
        }
        let groups = u64::from(tocsin_model::KEY_GROUPS);
        let evenly = after / groups;
        if evenly > WATCHED_MAX as u64 * 9 / 10 {
            let most = groups * WATCHED_MAX as u64;
            println!(
                "The detectors watch at most {most} contents; see tocsin_detector_refused_total{{what=\"watch\"}}."
            );
        }
        Ok(())
    }
}

fn take(format: Format, input: impl Read) -> Result<Taken> {
    let mut sorter = Sorter::new(RUN_BYTES);
    let (mut updates, mut rejects) = (0, Rejects::default());
    for read in ListReader::new(format, input)? {
        match read? {
            Ok(update) => {
                sorter.push(&update)?;
                updates += 1;
            }
            Err(code) => rejects.count(code),
        }
        let all = updates + rejects.total();
        if all % SAY_EVERY == 0 {
            eprintln!("read {all} records");
        }
    }
    Ok(Taken {
        updates,
        rejects,
        merged: sorter.finish()?,
    })
}

/// Hands the entries over in batches. What is withdrawn stands in no list.
fn tell(mut merged: Merged, sender: &mpsc::Sender<Vec<BankEntry>>) -> Result<Told> {
    let mut told = Told::default();
    let mut batch = Vec::with_capacity(STAGED_MAX);
    while let Some(update) = merged.next()? {
        match update {
            ListUpdate::Withdrawn(_) => told.withdrawn += 1,
            ListUpdate::Listed(entry) => batch.push(entry),
        }
        if batch.len() == STAGED_MAX {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(STAGED_MAX));
            // Whoever takes them ended with an error of its own.
            if sender.blocking_send(full).is_err() {
                return Ok(told);
            }
        }
    }
    if !batch.is_empty() {
        let _ = sender.blocking_send(batch);
    }
    told.doubles = merged.doubles();
    Ok(told)
}
