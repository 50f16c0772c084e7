//! The daily aggregates for researchers, over HTTP, as any other client.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::Value;

use super::api::{Api, print};
use super::casework_text::text;
use crate::client::{Answer, Sent};

/// Daily numbers of families of contents, by party, rounded, and under 10 told as "<10": for keys with the role researcher.
#[derive(Debug, Args)]
pub struct ResearchCommand {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// The days that are published, and the digest of each.
    Days {
        #[command(flatten)]
        api: Api,
        /// Only days behind this one.
        #[arg(long, value_name = "YYYY-MM-DD")]
        after: Option<String>,
    },
    /// What was published of a day.
    Day {
        #[command(flatten)]
        api: Api,
        /// The day, UTC.
        #[arg(value_name = "YYYY-MM-DD")]
        day: String,
        /// In which form.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Write it to this file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// What the numbers are, how they came about, and what they must not be taken for.
    DataSheet {
        #[command(flatten)]
        api: Api,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal.
    Text,
    /// The bytes that were published: the digest in the list of days is theirs.
    Json,
    /// A line for each cell.
    Csv,
}

/// So many days are asked for at a time.
const PAGE_DAYS: usize = 500;

impl ResearchCommand {
    pub async fn run(&self) -> Result<()> {
        match &self.act {
            Act::Days { api, after } => days(api, after.clone()).await,
            Act::Day { api, day, format, out } => {
                let format = if api.json { Format::Json } else { *format };
                write_day(api, day, format, out.as_deref()).await
            }
            Act::DataSheet { api } => {
                let answer = ask(api, "/v1/research/data-sheet", Vec::new()).await?;
                match api.json {
                    true => print(&format!("{}\n", answer.text()?)),
                    false => print(&data_sheet_text(&answer.document()?)),
                }
            }
        }
    }
}

async fn ask(api: &Api, path: &str, parameters: Vec<(&'static str, String)>) -> Result<Answer> {
    api.source()?.ask(Method::GET, path, Sent::Parameters(parameters)).await
}

/// All pages, one after the other.
async fn days(api: &Api, mut after: Option<String>) -> Result<()> {
    let mut listed: Vec<Value> = Vec::new();
    loop {
        let mut parameters = vec![("limit", PAGE_DAYS.to_string())];
        parameters.extend(after.take().map(|after| ("after", after)));
        let page: Value = ask(api, "/v1/research/days", parameters).await?.document()?;
        listed.extend(page["days"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    if api.json {
        return print(&format!("{}\n", serde_json::json!({ "days": listed })));
    }
    if listed.is_empty() {
        return print("Nothing is published yet.\n");
    }
    let mut out = String::new();
    for day in &listed {
        let _ = writeln!(
            out,
            "{}  parties: {:>3}  version {}  {}",
            text(&day["day"]),
            text(&day["populations"]),
            text(&day["version"]),
            text(&day["digest"])
        );
    }
    print(&out)
}

async fn write_day(api: &Api, day: &str, format: Format, out: Option<&Path>) -> Result<()> {
    let parameters = match format {
        Format::Csv => vec![("form", "csv".to_owned())],
        Format::Text | Format::Json => Vec::new(),
    };
    let path = format!("/v1/research/days/{}", path_part(day));
    let answer = ask(api, &path, parameters).await?;
    let mut shown = answer.text()?.to_owned();
    match format {
        Format::Text => shown = day_text(&answer.document()?),
        // A file holds the bytes whose digest is listed.
        Format::Json if out.is_none() => shown.push('\n'),
        Format::Json | Format::Csv => {}
    }
    match out {
        None => print(&shown),
        Some(path) => std::fs::write(path, shown).with_context(|| format!("write {}", path.display())),
    }
}

/// What somebody typed, as one part of a path.
fn path_part(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || character == '-';
    text.chars()
        .map(|character| if is_plain(character) { character } else { '_' })
        .collect()
}

fn all<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn day_text(day: &Value) -> String {
    let mut out = format!(
        "{}, UTC: families, rounded; <10 is 0 to 9. `tocsin research data-sheet` says what is counted.\n",
        text(&day["day"])
    );
    if all(day, "populations").is_empty() {
        out.push_str("\nNo party took part.\n");
    }
    for population in all(day, "populations") {
        let platforms: Vec<String> = all(population, "platforms").iter().map(text).collect();
        let _ = writeln!(out, "\n{} ({})", text(&population["party"]), platforms.join(", "));
        for table in all(population, "tables") {
            let _ = writeln!(
                out,
                "  {:<44} {:>12}",
                text(&table["table"]),
                text(&table["total"]["shown"])
            );
            for cell in all(table, "cells") {
                let by: Vec<String> = all(cell, "by").iter().map(|by| text(&by["is"])).collect();
                let _ = writeln!(
                    out,
                    "    {:<42} {:>12}",
                    by.join(", "),
                    text(&cell["families"]["shown"])
                );
            }
        }
    }
    out
}

fn data_sheet_text(sheet: &Value) -> String {
    let mut out = format!("{}, version {}\n", text(&sheet["title"]), text(&sheet["version"]));
    for section in all(sheet, "sections") {
        let _ = writeln!(out, "\n{}", text(&section["name"]));
        for answer in all(section, "answers") {
            let _ = writeln!(out, "* {}", text(answer));
        }
    }
    out.push_str("\ntables\n");
    for table in all(sheet, "tables") {
        let dimensions: Vec<String> = all(table, "dimensions").iter().map(text).collect();
        let _ = writeln!(
            out,
            "* {}: {}, in {}, by {}, {} cells",
            text(&table["name"]),
            text(&table["counts"]),
            text(&table["unit"]),
            dimensions.join(" and "),
            all(table, "cells").len()
        );
        if !table["times"].is_null() {
            let _ = writeln!(out, "  took: {}", text(&table["times"]));
        }
    }
    out.push_str("\ncolumns\n");
    for column in all(sheet, "columns") {
        let _ = writeln!(
            out,
            "* {} ({}): {}",
            text(&column["name"]),
            text(&column["unit"]),
            text(&column["meaning"])
        );
    }
    let _ = writeln!(
        out,
        "\nretention: {}\nlicence: {}\ncontact: {}",
        text(&sheet["retention"]),
        text(&sheet["licence"]),
        text(&sheet["contact"])
    );
    out
}

#[cfg(test)]
mod tests {
    //! Goal: what a terminal shows of a day and of its data sheet, and what is no day goes nowhere else.
    #![allow(clippy::unwrap_used)]

    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::command::{Arguments, Command};

    #[test]
    fn what_is_typed_is_one_part_of_the_path() {
        for (typed, part) in [
            ("2026-01-02", "2026-01-02"),
            ("../data-sheet?x", "___data-sheet_x"),
            ("%2e%2e", "_2e_2e"),
        ] {
            assert_eq!(path_part(typed), part);
        }
    }

    #[test]
    fn a_command_is_read_with_its_form() {
        let read = |words: &[&'static str]| {
            let read = Arguments::try_parse_from(["tocsin", "research"].iter().chain(words));
            matches!(read.map(|read| read.command), Ok(Command::Research(_)))
        };
        for (words, is_read) in [
            (&["days", "--key-file", "k"][..], true),
            (&["days", "--key-file", "k", "--after", "2026-01-01"], true),
            (
                &["day", "2026-01-01", "--key-file", "k", "--format", "csv", "--out", "x"],
                true,
            ),
            (&["day", "2026-01-01", "--key-file", "k", "--format", "html"], false),
            (&["day", "--key-file", "k"], false),
            (&["data-sheet", "--key-file", "k", "--json"], true),
        ] {
            assert_eq!(read(words), is_read, "{words:?}");
        }
    }

    #[test]
    fn a_day_is_told_by_party_table_and_cell() {
        let number =
            |shown: &str| json!({"estimate": null, "low": 0, "high": 9, "disclosure": "suppressed", "shown": shown});
        let day = json!({"version": 1, "day": "2026-01-01", "populations": [{"party": "alpha", "platforms": ["app", "chat"], "tables": [
            {"table": "rang", "total": number("10 to 112"), "cells": [
                {"by": [{"name": "content", "is": "video"}, {"name": "took", "is": "longer"}], "families": number("<10")}]}]}]});
        let told = day_text(&day);
        for part in [
            "2026-01-01",
            "alpha (app, chat)",
            "rang",
            "10 to 112",
            "video, longer",
            "<10",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(day_text(&json!({"day": "2026-01-01", "populations": []})).contains("No party took part"));
    }

    #[test]
    fn a_data_sheet_is_told_whole() {
        let sheet = json!({"title": "t", "version": 1, "sections": [{"name": "motivation", "answers": ["so that"]}],
            "tables": [{"name": "rang", "counts": "what rang", "unit": "families", "times": "from here to there", "dimensions": ["content", "took"], "cells": [["a", "b"]]}],
            "columns": [{"name": "low", "unit": "families", "meaning": "at least"}], "retention": "never", "licence": "for research", "contact": "me"});
        let told = data_sheet_text(&sheet);
        for part in [
            "motivation",
            "* so that",
            "by content and took, 1 cells",
            "took: from here to there",
            "* low (families): at least",
            "retention: never",
            "licence: for research",
            "contact: me",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}
