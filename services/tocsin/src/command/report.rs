//! Reports of a team, over HTTP, as any other client: the transparency report, the figures of the EU regulation on terrorist content, and drafts of statements of
//! reasons.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, print};
use super::casework_text::text;
use crate::client::Sent;

/// What your team did within some days, as figures, each with what it counts, from what, and what bounds it.
#[derive(Debug, Args)]
pub struct ReportCommand {
    #[command(flatten)]
    api: Api,
    /// Your party, or coordinators: a key reads the reports of its own team alone.
    #[arg(long)]
    party: Option<String>,
    /// The first day, UTC.
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: String,
    /// The last day, which is in it; at most 400 days.
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: String,
    /// In which form.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write it to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Another report than the transparency report.
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The figures that a hosting service provider publishes each year: Regulation (EU) 2021/784, Art. 7(3).
    TerroristContent,
    /// Drafts of statements of reasons in the fields of the DSA Transparency Database: on each line the body of a request, of at most 100.
    Statements {
        /// Where the restrictions hold, which only you know: EU, EEA, or countries of the EEA by two letters, with commas between.
        #[arg(long)]
        territory: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal.
    Text,
    /// As the API gives it.
    Json,
    /// A page that can be printed.
    Html,
}

impl ReportCommand {
    pub async fn run(&self) -> Result<()> {
        match &self.act {
            None => self.show("/v1/reports").await,
            Some(Act::TerroristContent) => self.show("/v1/reports/terrorist-content").await,
            Some(Act::Statements { territory }) => self.show_statements(territory).await,
        }
    }

    async fn show(&self, path: &str) -> Result<()> {
        let format = if self.api.json { Format::Json } else { self.format };
        let mut parameters = self.days();
        parameters.extend(self.party.clone().map(|party| ("party", party)));
        if format == Format::Html {
            parameters.push(("form", "html".to_owned()));
        }
        let answer = self
            .api
            .source()?
            .ask(Method::GET, path, Sent::Parameters(parameters))
            .await?;
        let mut shown = answer.text()?.to_owned();
        match format {
            Format::Text => shown = report_text(&answer.document()?),
            Format::Json => shown.push('\n'),
            Format::Html => {}
        }
        match &self.out {
            None => print(&shown),
            Some(path) => std::fs::write(path, shown).with_context(|| format!("write {}", path.display())),
        }
    }

    fn days(&self) -> Vec<(&'static str, String)> {
        vec![("from", self.from.clone()), ("to", self.to.clone())]
    }

    async fn show_statements(&self, territory: &str) -> Result<()> {
        ensure!(
            self.format != Format::Html && self.party.is_none(),
            "statements are of your own party, in one form: leave --party and --format out"
        );
        let source = self.api.source()?;
        let mut out = writer(self.out.as_deref())?;
        let (mut after, mut written) = (None::<String>, 0);
        let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
        let mut how = Vec::new();
        loop {
            let mut parameters = self.days();
            parameters.push(("territory", territory.to_owned()));
            parameters.extend(after.take().map(|after| ("after", after)));
            let sent = Sent::Parameters(parameters);
            let page = source.ask(Method::GET, "/v1/reports/statements", sent).await?;
            let page: Value = page.document()?;
            let statements = page["statements"].as_array().map_or(&[][..], Vec::as_slice);
            if !statements.is_empty() {
                written += statements.len();
                writeln!(out, "{}", json!({ "statements": statements })).context("write statements")?;
            }
            for of in page["left_out"].as_array().into_iter().flatten() {
                *left_out.entry(text(&of["why"])).or_default() += of["count"].as_u64().unwrap_or(0);
            }
            how = page["how"].as_array().cloned().unwrap_or(how);
            match page["next"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => break,
            }
        }
        out.flush().context("write statements")?;
        eprintln!("{written} drafts.");
        for (why, count) in left_out {
            eprintln!("No draft of {count}: {why}.");
        }
        for how in &how {
            eprintln!("* {}", text(how));
        }
        Ok(())
    }
}

fn writer(path: Option<&Path>) -> Result<Box<dyn Write>> {
    Ok(match path {
        None => Box::new(std::io::stdout()),
        Some(path) => {
            let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
            Box::new(BufWriter::new(file))
        }
    })
}

fn report_text(report: &Value) -> String {
    let all = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let state = if report["is_over"] == true {
        ""
    } else {
        ", not over yet"
    };
    let mut out = format!(
        "{} of {}, from {} to {}, UTC{state}\n",
        text(&report["report"]),
        text(&report["team"]),
        text(&report["from"]),
        text(&report["to"])
    );
    for section in all(report, "sections") {
        let _ = writeln!(out, "\n{}", text(&section["title"]));
        let definitions = all(&section, "definitions");
        for figure in all(&section, "figures") {
            let by = all(&figure, "by");
            let by: Vec<String> = by
                .iter()
                .map(|by| format!("{} {}", text(&by["name"]), text(&by["is"])))
                .collect();
            let unit = definitions.iter().find(|of| of["name"] == figure["name"]);
            let unit = unit.map(|of| text(&of["unit"])).unwrap_or_default();
            let amount = match figure["is"].as_str() {
                Some("exact") => format!("{} {unit}", text(&figure["low"])),
                Some("between") => format!("{} to {} {unit}", text(&figure["low"]), text(&figure["high"])),
                _ => format!("unknown: {}", text(&figure["why"])),
            };
            let _ = writeln!(out, "  {:<28} {:<60} {amount}", text(&figure["name"]), by.join(", "));
        }
        for of in definitions {
            let _ = writeln!(
                out,
                "  {}: {}. From {}. Bound: {}.",
                text(&of["name"]),
                text(&of["counts"]),
                text(&of["from"]),
                text(&of["bound"])
            );
        }
    }
    out.push('\n');
    for how in all(report, "how") {
        let _ = writeln!(out, "* {}", text(&how));
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;

    use super::*;
    use crate::command::{Arguments, Command};

    #[test]
    fn a_report_is_asked_for_with_and_without_a_word_for_it() {
        let days = ["--key-file", "k", "--from", "2026-01-01", "--to", "2026-12-31"];
        let read = |words: &[&'static str]| {
            let read = Arguments::try_parse_from(["tocsin", "report"].iter().chain(&days).chain(words));
            read.ok().map(|read| match read.command {
                Command::Report(command) => match command.act {
                    None => "transparency",
                    Some(Act::TerroristContent) => "terrorist_content",
                    Some(Act::Statements { .. }) => "statements",
                },
                other => panic!("{other:?} is no report"),
            })
        };
        for (words, asked) in [
            (&[][..], Some("transparency")),
            (
                &["--party", "alpha", "--format", "html", "--out", "x"],
                Some("transparency"),
            ),
            (&["--format", "pdf"], None),
            (&["terrorist-content"], Some("terrorist_content")),
            (&["statements"], None),
            (&["statements", "--territory", "EU"], Some("statements")),
        ] {
            assert_eq!(read(words), asked, "{words:?}");
        }
        assert!(Arguments::try_parse_from(["tocsin", "report", "--key-file", "k", "--from", "2026-01-01"]).is_err());
    }

    #[test]
    fn figures_are_told_with_what_they_mean_and_what_is_not_known_with_why() {
        let report = json!({
            "report": "transparency", "team": "alpha", "from": "2026-01-01", "to": "2026-01-31", "is_over": false, "how": ["as it was"],
            "sections": [{"title": "Cases", "definitions": [{"name": "opened", "counts": "cases", "from": "the store", "bound": "exact", "unit": "cases"}], "figures": [
                {"name": "opened", "by": [{"name": "content", "is": "video"}], "is": "exact", "low": 3, "high": 3, "why": null},
                {"name": "opened", "by": [], "is": "between", "low": 1, "high": 4, "why": null},
                {"name": "views", "by": [], "is": "unknown", "low": null, "high": null, "why": "nobody counts"},
            ]}],
        });
        let told = report_text(&report);
        for part in [
            "not over yet",
            "content video",
            "3 cases",
            "1 to 4 cases",
            "unknown: nobody counts",
            "Bound: exact",
            "* as it was",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}
