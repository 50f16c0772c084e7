//! Faults of the disk below one process with all roles and the embedded log: it is full, read-only, torn, or has turned a bit.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rand::Rng as _;
use rand::rngs::SmallRng;
use tocsin_failpoint::{FailPoint, VARIABLE};
use tocsin_log::embedded::FILE_NAME;
use tocsin_model::{AccountPseudonym, Kind};
use tocsin_tests::child::{Tocsin, command};
use tocsin_tests::ground::Ground;
use tocsin_tests::site::{ALPHA, ALPHA_PLATFORMS, Site, Time};
use tocsin_tests::traffic::{share, url};
use tocsin_wire::event::to_json;
use tokio::process::Command;

use crate::check::{self, Exact, Sightings, Tokens};
use crate::load::{CONTENTS, PARTITIONS, Sent, now};
use crate::wait::until_within;
use crate::world::{Outcome, Place, parties};

/// Events of one request.
const REQUEST_EVENTS: usize = 20;
/// Requests of a round, at least.
const REQUESTS: usize = 40;
/// Requests while the disk fills, at most.
const FILLING_REQUESTS_MAX: usize = 2_000;
/// The disk at first, and once it has been made larger.
const SMALL: &str = "size=64m";
const LARGE: &str = "size=512m";
/// What is left of the small disk when it begins to fill.
const LEFT_BYTES: u64 = 256 << 10;
/// Damages of one round.
const DAMAGES: usize = 10;
/// How soon a process counts what it was given.
const COUNTED_WITHIN: Duration = Duration::from_secs(60);

/// A deployment in one process, and what was published to it.
struct Alone<'a> {
    place: Place<'a>,
    site: Site,
    data: PathBuf,
    sent: Vec<Sent>,
}

/// A tmpfs that goes when this is dropped.
struct Disk(PathBuf);

impl Disk {
    async fn mount(at: PathBuf) -> Result<Disk> {
        fs::create_dir_all(&at).context("make a place for the disk")?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", SMALL, "tmpfs"]).arg(&at);
        ensure!(
            mount.status().await.context("run mount")?.success(),
            "only root mounts a small disk"
        );
        Ok(Disk(at))
    }

    async fn remount(&self, option: &str) -> Result<()> {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]).arg(&self.0);
        ensure!(
            mount.status().await.context("run mount")?.success(),
            "the disk cannot be remounted {option}"
        );
        Ok(())
    }

    /// Takes all of it but so many bytes.
    fn fill(&self, left_bytes: u64) -> Result<()> {
        let mut filler = File::create(self.0.join("filler")).context("fill the disk")?;
        let block = vec![0; 64 << 10];
        // Up to the end, and then so much is given back.
        while filler.write_all(&block).is_ok() {}
        let length = filler.metadata().context("ask how much was taken")?.len();
        filler
            .set_len(length.saturating_sub(left_bytes))
            .context("leave some of it")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("the disk at {} was not unmounted", self.0.display());
        }
    }
}

impl<'a> Alone<'a> {
    async fn new(place: Place<'a>, data: PathBuf) -> Result<Alone<'a>> {
        let directory = data.display().to_string();
        let site = Site::with(
            &Ground::Embedded,
            Time::Live,
            PARTITIONS,
            &[("log.data_dir", &directory)],
        )
        .await?;
        let sent = Vec::new();
        Ok(Alone {
            place,
            site,
            data,
            sent,
        })
    }

    /// Publishes some events, and tells whether they were taken.
    async fn publish(&mut self, tocsin: &Tocsin, random: &mut SmallRng) -> bool {
        let mut bodies = Vec::new();
        let first = self.sent.len();
        for _ in 0..REQUEST_EVENTS {
            let id = (u128::from(random.random::<u64>()) << 64) | (self.sent.len() as u128 + 1);
            let platform = ALPHA_PLATFORMS[random.random_range(0..2)];
            let mut event = share(id, platform, &url(random.random_range(0..CONTENTS)), now());
            event.kind = [Kind::Upload, Kind::Share, Kind::BlockedUpload][random.random_range(0..3)];
            event.account = Some(AccountPseudonym(id.to_be_bytes()));
            bodies.push(to_json(&event));
            self.sent.push(Sent {
                event,
                party: ALPHA,
                is_acknowledged: false,
                is_late: false,
            });
        }
        let body = format!("[{}]", bodies.join(",")).into_bytes();
        let answered = tocsin
            .api
            .post(&self.site.keys.alpha, "/v1/events", "application/json", body);
        let taken = matches!(answered.await, Ok((202, _)));
        for sent in &mut self.sent[first..] {
            sent.is_acknowledged = taken;
        }
        taken
    }

    /// How many copies of each content were acknowledged.
    fn acknowledged(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for sent in self.sent.iter().filter(|sent| sent.is_acknowledged) {
            let url = String::from_utf8_lossy(sent.event.content[0].value()).into_owned();
            *counts.entry(url).or_insert(0) += 1;
        }
        counts
    }

    /// Waits until everything acknowledged is counted. What was not may be counted as well: it may have been written before it failed.
    async fn counted(&self, tocsin: &Tocsin) -> Result<()> {
        for (url, count) in self.acknowledged() {
            let mut told = None;
            let counted = until_within(COUNTED_WITHIN, "what is acknowledged is counted", async || {
                let answer = tocsin.api.look_up(&self.site.keys.alpha, &url).await?;
                told = answer.and_then(|answer| answer["windows"][2]["exact"].as_u64());
                Ok((told >= Some(count)).then_some(()))
            });
            counted
                .await
                .with_context(|| format!("of {count} copies of {url} {told:?} are counted"))?;
        }
        Ok(())
    }

    /// Ends the process, and holds what it left to the invariants.
    async fn conclude(self, tocsin: Tocsin, figures: BTreeMap<&'static str, f64>) -> Result<Outcome> {
        let status = tocsin.terminate().await?;
        let mut violations = Vec::new();
        if !status.success() {
            violations.push(format!("end: it was asked to stop and ended with {status}"));
        }
        let config = self.site.config()?;
        let tokens = Tokens::new(&config, parties(&self.site).await?)?;
        let log = tokio::task::block_in_place(|| self.site.log())?;
        let mut sightings = Sightings::default();
        let verdict = tokio::task::block_in_place(|| {
            sightings.read_on(log.as_ref())?;
            let exact = Exact::new(&self.sent, &tokens, &sightings);
            check::check(log.as_ref(), &config, &sightings, &exact, None)
        })?;
        tokio::task::block_in_place(|| drop(log));
        violations.extend(verdict.violations);
        let mut figures = figures;
        figures.insert("events", verdict.events as f64);
        figures.insert("violations", violations.len() as f64);
        Ok(Outcome { violations, figures })
    }

    /// What the process said, kept before another start writes over it.
    fn keep_words(&self, name: &str) -> String {
        let said = fs::read_to_string(self.site.directory().join("stderr")).unwrap_or_default();
        let _ = fs::write(self.place.evidence.join(name), &said);
        said
    }
}

/// The disk fills up while events come in, and is made larger; later it is read-only when a process starts.
pub async fn full(place: Place<'_>, random: &mut SmallRng) -> Result<Outcome> {
    let disk = Disk::mount(place.evidence.join("disk")).await?;
    let mut alone = Alone::new(place, disk.0.join("data")).await?;
    let mut violations = Vec::new();
    let tocsin = Tocsin::start(place.program, &alone.site).await?;
    tocsin.api.ready().await?;
    for _ in 0..REQUESTS {
        ensure!(alone.publish(&tocsin, random).await, "there is room for these");
    }
    disk.fill(LEFT_BYTES + random.random_range(0..LEFT_BYTES))?;
    let mut refused = 0;
    for _ in 0..FILLING_REQUESTS_MAX {
        refused += u32::from(!alone.publish(&tocsin, random).await);
        if refused == 5 {
            break;
        }
    }
    println!(
        "  {refused} requests of the last {} were refused on a full disk",
        FILLING_REQUESTS_MAX
    );
    ensure!(refused > 0, "the disk did not fill");
    tocsin.kill().await?;
    panicked(&alone.keep_words("full.log"), &mut violations);

    disk.remount("ro").await?;
    let output = command(place.program, &alone.site, &["up"]).output().await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    fs::write(place.evidence.join("read-only.log"), &said).context("keep its words")?;
    panicked(&said, &mut violations);
    if output.status.success() || !said.contains("error:") {
        violations.push(format!(
            "disk: on a read-only disk it ended with {} and said {said}",
            output.status
        ));
    }
    disk.remount("rw").await?;
    disk.remount(LARGE).await?;
    fs::remove_file(disk.0.join("filler")).context("free the disk")?;
    let tocsin = Tocsin::start(place.program, &alone.site).await?;
    tocsin.api.ready().await?;
    for _ in 0..REQUESTS {
        ensure!(alone.publish(&tocsin, random).await, "there is room again");
    }
    if let Err(error) = alone.counted(&tocsin).await {
        violations.push(format!("I1: {error:#}"));
    }
    let mut outcome = alone
        .conclude(tocsin, [("refused_requests", f64::from(refused))].into())
        .await?;
    outcome.add(violations);
    Ok(outcome)
}

/// The points that only the embedded log comes to; each round takes the next.
pub const POINTS: [FailPoint; 4] = [
    FailPoint::BatchOpened,
    FailPoint::BatchApplied,
    FailPoint::BatchCommitted,
    FailPoint::BatchShown,
];

/// The process ends at a named point of the embedded log's writes while events come in, and is started again.
pub async fn ended_at_point(place: Place<'_>, random: &mut SmallRng, number: u32) -> Result<Outcome> {
    let point = POINTS[(number as usize - 1) % POINTS.len()];
    let mut alone = Alone::new(place, place.evidence.join("data")).await?;
    // A start writes some batches itself; a later one is among those of the events.
    let times = random.random_range(40..200);
    println!("  end at {}, time {times}", point.name());
    let ends_at = format!("{}:{times}", point.name());
    let tocsin = Tocsin::start_in(place.program, &alone.site, &[], &[(VARIABLE, &ends_at)]).await?;
    tocsin.api.ready().await?;
    let mut requests = 0;
    while alone.publish(&tocsin, random).await {
        requests += 1;
        ensure!(requests < FILLING_REQUESTS_MAX, "it does not come to {ends_at}");
    }
    tocsin.kill().await?;
    let said = alone.keep_words("ended.log");
    ensure!(said.contains(VARIABLE), "it ended elsewhere: {said}");
    let tocsin = Tocsin::start(place.program, &alone.site).await?;
    tocsin.api.ready().await?;
    let mut violations = Vec::new();
    for _ in 0..REQUESTS {
        ensure!(alone.publish(&tocsin, random).await, "it takes events again");
    }
    if let Err(error) = alone.counted(&tocsin).await {
        violations.push(format!("I1: {error:#}"));
    }
    let mut outcome = alone.conclude(tocsin, [("requests", requests as f64)].into()).await?;
    outcome.add(violations);
    Ok(outcome)
}

fn panicked(said: &str, violations: &mut Vec<String>) {
    if let Some(line) = said.lines().find(|line| line.contains("panicked")) {
        violations.push(format!("disk: it panicked: {line}"));
    }
}

/// What is done to the file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    CutTo(u64),
    Turned { byte: u64, bit: u8 },
}

impl Damage {
    fn draw(random: &mut SmallRng, length: u64) -> Damage {
        match random.random_bool(0.4) {
            true => Damage::CutTo(random.random_range(0..length)),
            false => Damage::Turned {
                byte: random.random_range(0..length),
                bit: random.random_range(0..8),
            },
        }
    }

    fn apply(self, path: &Path) -> Result<()> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .context("open the log to damage it")?;
        match self {
            Damage::CutTo(length) => file.set_len(length).context("cut it"),
            Damage::Turned { byte, bit } => {
                let mut value = [0];
                file.seek(SeekFrom::Start(byte))?;
                file.read_exact(&mut value)?;
                value[0] ^= 1 << bit;
                file.seek(SeekFrom::Start(byte))?;
                file.write_all(&value).context("turn a bit of it")
            }
        }
    }
}

/// The file of the log is cut at any length or one of its bits is turned. Then it is refused, or everything in it is as it was: never are counts
/// wrong in silence.
pub async fn damaged(place: Place<'_>, random: &mut SmallRng) -> Result<Outcome> {
    let mut alone = Alone::new(place, place.evidence.join("data")).await?;
    let tocsin = Tocsin::start(place.program, &alone.site).await?;
    tocsin.api.ready().await?;
    for _ in 0..REQUESTS {
        ensure!(alone.publish(&tocsin, random).await, "it takes events");
    }
    alone.counted(&tocsin).await?;
    ensure!(tocsin.terminate().await?.success(), "it ends in order");
    alone.keep_words("sound.log");
    let path = alone.data.join(FILE_NAME);
    let sound = fs::read(&path).context("read the log's file")?;
    let mut violations = Vec::new();
    let (mut refused, mut whole) = (0, 0);
    for number in 0..DAMAGES {
        fs::write(&path, &sound).context("put the sound file back")?;
        let damage = Damage::draw(random, sound.len() as u64);
        damage.apply(&path)?;
        let name = format!("damage-{number:02}.log");
        let found = Box::pin(look(&alone, number)).await;
        let said = alone.keep_words(&name);
        panicked(&said, &mut violations);
        match found {
            // It ended, and said why.
            Ok(None) => refused += 1,
            Ok(Some(wrong)) if wrong.is_empty() => whole += 1,
            Ok(Some(wrong)) => violations.push(format!("I1: {damage:?}: {wrong}")),
            Err(error) => violations.push(format!("disk: {damage:?}: {error:#}")),
        }
    }
    println!("  {refused} of {DAMAGES} damaged logs were refused, {whole} were whole nonetheless");
    let figures = BTreeMap::from([
        ("events", alone.sent.len() as f64),
        ("damages", DAMAGES as f64),
        ("refused_logs", f64::from(refused)),
        ("violations", violations.len() as f64),
    ]);
    Ok(Outcome { violations, figures })
}

/// Starts a process on what stands there. `None`: it ended by itself. Otherwise what it counts wrong.
async fn look(alone: &Alone<'_>, number: usize) -> Result<Option<String>> {
    let Ok(tocsin) = Tocsin::start(alone.place.program, &alone.site).await else {
        return Ok(None);
    };
    // One that stands open and never gets ready says so, and is as good as one that ended.
    if tocsin.api.ready().await.is_err() {
        tocsin.kill().await?;
        return Ok(None);
    }
    let mut wrong = String::new();
    for (url, count) in alone.acknowledged() {
        let answer = match tocsin.api.look_up(&alone.site.keys.alpha, &url).await {
            Ok(answer) => answer,
            // It has ended in the middle of it.
            Err(_) => return Ok(None),
        };
        let told = answer.and_then(|answer| answer["windows"][2]["exact"].as_u64());
        if told != Some(count) {
            wrong = format!("damage {number}: of {count} copies of {url} {told:?} are counted");
            break;
        }
    }
    tocsin.kill().await?;
    Ok(Some(wrong))
}
