//! Reports of a team, over HTTP, as any other client: the transparency report, the figures of the EU regulation on terrorist content, and drafts of statements of
//! reasons.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

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
        let mut out = Out::new(self.out.as_deref())?;
        let (mut after, mut written) = (None::<String>, 0);
        let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
        let mut how = Vec::new();
        loop {
            let mut parameters = self.days();
            parameters.push(("territory", territory.to_owned()));
            parameters.extend(after.take().map(|after| ("after", after)));
            let page: Value = source.wait_for("/v1/reports/statements", &parameters).await?;
            let statements = page["statements"].as_array().map_or(&[][..], Vec::as_slice);
            if !statements.is_empty() {
                written += statements.len();
                let line = json!({ "statements": statements });
                writeln!(out.writer(), "{line}").context("write statements")?;
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
        out.finish().context("write statements")?;
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

/// Where drafts go: to the terminal, or beside a file, which is as it was until all of them are there.
enum Out<'a> {
    Terminal(std::io::Stdout),
    File(BufWriter<NamedTempFile>, &'a Path),
}

impl<'a> Out<'a> {
    fn new(path: Option<&'a Path>) -> Result<Out<'a>> {
        let Some(path) = path else {
            return Ok(Out::Terminal(std::io::stdout()));
        };
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let beside = NamedTempFile::new_in(directory.unwrap_or(Path::new(".")));
        let beside = beside.with_context(|| format!("write {}", path.display()))?;
        Ok(Out::File(BufWriter::new(beside), path))
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Out::Terminal(out) => out,
            Out::File(out, _) => out,
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Out::Terminal(mut out) => Ok(out.flush()?),
            Out::File(out, path) => {
                out.into_inner().map_err(|error| error.into_error())?.persist(path)?;
                Ok(())
            }
        }
    }
}

fn report_text(report: &Value) -> String {
    let all = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let state = if report["is_over"] == true {
        ""
    } else {
        ", not over yet"
    };
    let mark = match report["drill"].as_str() {
        Some(drill) => format!("DRILL {drill}: nothing of this is real.\n"),
        None => String::new(),
    };
    let mut out = format!(
        "{mark}{} of {}, from {} to {}, UTC{state}\n",
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

    /// Answers with these, one after the other, and then with the last.
    async fn answering(answers: Vec<(u16, Value)>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let asked = std::sync::Arc::new(asked);
        let answer = move || {
            let number = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let (status, document) = answers[number.min(answers.len() - 1)].clone();
            let status = axum::http::StatusCode::from_u16(status).unwrap();
            async move { (status, [("retry-after", "0")], axum::Json(document)) }
        };
        let routes = axum::Router::new().route("/v1/reports/statements", axum::routing::get(answer));
        tokio::spawn(async { axum::serve(listener, routes).await });
        url
    }

    fn page(number: u32, next: Option<&str>) -> Value {
        json!({ "statements": [{ "puid": number }], "left_out": [], "how": [], "next": next })
    }

    #[tokio::test]
    async fn a_busy_api_is_waited_for_and_a_file_is_whole_or_as_it_was() {
        let busy = (503, json!({"title": "Busy", "code": "reports_busy"}));
        let lines = "{\"statements\":[{\"puid\":1}]}\n{\"statements\":[{\"puid\":2}]}\n";
        for (answers, wrote) in [
            (
                vec![
                    busy.clone(),
                    (200, page(1, Some("a"))),
                    busy.clone(),
                    (200, page(2, None)),
                ],
                Some(lines),
            ),
            (
                vec![
                    (200, page(1, Some("a"))),
                    (403, json!({"title": "No", "code": "forbidden"})),
                ],
                None,
            ),
            (vec![busy.clone()], None),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let (key, file) = (directory.path().join("key"), directory.path().join("drafts"));
            std::fs::write(&key, "key").unwrap();
            std::fs::write(&file, "as it was").unwrap();
            let url = answering(answers).await;
            let words = [
                "tocsin",
                "report",
                "--from",
                "2026-01-01",
                "--to",
                "2026-12-31",
                "--url",
                &url,
            ];
            let files = ["--key-file", key.to_str().unwrap(), "--out", file.to_str().unwrap()];
            let rest = ["statements", "--territory", "EU"];
            let read = Arguments::try_parse_from(words.iter().chain(&files).chain(&rest)).unwrap();
            let Command::Report(command) = read.command else {
                panic!("it is a report")
            };
            assert_eq!(command.run().await.is_ok(), wrote.is_some());
            assert_eq!(std::fs::read_to_string(&file).unwrap(), wrote.unwrap_or("as it was"));
            assert_eq!(
                std::fs::read_dir(directory.path()).unwrap().count(),
                2,
                "nothing beside it"
            );
        }
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
        let mut of_drill = report.clone();
        of_drill["drill"] = "0a1b2c3d".into();
        assert!(report_text(&of_drill).starts_with("DRILL 0a1b2c3d: nothing of this is real.\n"));
        let told = report_text(&report);
        assert!(!told.contains("DRILL"), "{told}");
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
