//! How good the alarm is on real posts and real cascades, beside the rivals on the same stream: those of a file in the order of their times,
//! mixed into ordinary traffic.
//!
//! A content is **positive** that has so many shares within some 24 hours; an alarm about any other is **false**. Each detector counts once for
//! each content, at its first alarm. What the background holds is counted apart: its contents that stay below are false alarms of the
//! generator's making, those that do not are left out.
//!
//! A rival is compared at its own recall: on one half of the contents, drawn by their hash, those parameters of the trigger are chosen (its
//! threshold above all) that have the fewest false alarms at no less recall and no more shares at the alarm, in the median; what is reported
//! is the other half.
//!
//! Start reading at [`posts`] and [`cascades`].

mod compare;
mod matching;
mod page;
mod play;
mod rows;
mod set;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::json;
use tocsin_loadtest::report::{Bar, Section};

use self::play::Background;
use self::set::RealSet;
use super::{CASCADES, POSTS, SuiteArguments, output, shared};
use crate::recorded::{PostContent, Recorded, election_posts};
use crate::rehearsal::Figures;

/// How to evaluate on a real set. Scale 1 mixes it into traffic of 10^4 contents a day, 0 into none.
#[derive(Debug, Args)]
pub struct RealArguments {
    /// Seed and scale of the background, and output.
    #[command(flatten)]
    pub suite: SuiteArguments,
    /// The set, as CSV or gzip of it. Without it: the one beside the checkout, or under TOCSIN_SHARED.
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// How to judge.
    #[command(flatten)]
    pub judging: JudgingArguments,
    /// Ask the rule with exact counts of every content too. It takes several times as long, and some KiB for each content.
    #[arg(long)]
    pub exact: bool,
}

/// How alarms about real contents are judged.
#[derive(Debug, Args)]
pub struct JudgingArguments {
    /// A content is positive with so many shares within some 24 hours.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub positive: u32,
    /// A directory for contents.csv, alarms.csv and scores.csv: enough for anyone to score again.
    #[arg(long, value_name = "DIR")]
    pub rows: Option<PathBuf>,
    /// A directory for the page with figures and plots.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
}

/// How to evaluate on the election posts.
#[derive(Debug, Args)]
pub struct PostsArguments {
    /// The set and how to judge.
    #[command(flatten)]
    pub real: RealArguments,
    /// What of a post is its content.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "phash,url,hashtag")]
    pub content: Vec<PostContent>,
}

/// A real set that is mixed into traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suite {
    Posts,
    Cascades,
}

/// How good alarms about a set were: the figures, and what a page says of them.
#[derive(Clone, Debug)]
pub struct Judged {
    pub figures: Figures,
    pub bars: Vec<Bar>,
    pub sections: Vec<Section>,
}

/// The posts of an election: every content they name.
///
/// # Errors
/// The file is absent or of another form, or files cannot be written.
pub fn posts(arguments: &PostsArguments) -> Result<Figures> {
    let real = &arguments.real;
    let input = input(real, POSTS);
    let recorded = election_posts(&input, &arguments.content)?;
    run(Suite::Posts, &RealSet::of_posts(&recorded), &input, real)
}

/// Retweet cascades: each is a content.
///
/// # Errors
/// The file is absent or of another form, or files cannot be written.
pub fn cascades(arguments: &RealArguments) -> Result<Figures> {
    let input = input(arguments, CASCADES);
    run(Suite::Cascades, &RealSet::of_cascades(&input)?, &input, arguments)
}

/// Posts that were read already, without a background.
///
/// # Errors
/// There are none, or files cannot be written.
pub fn recorded_posts(recorded: &[Recorded], input: &Path, judging: &JudgingArguments) -> Result<Judged> {
    judge(&RealSet::of_posts(recorded), input, None, play::Exact::LeftOut, judging)
}

fn input(arguments: &RealArguments, default: &str) -> PathBuf {
    arguments.input.clone().unwrap_or_else(|| shared(default))
}

fn run(suite: Suite, set: &RealSet, input: &Path, arguments: &RealArguments) -> Result<Figures> {
    let SuiteArguments { seed, scale, .. } = arguments.suite;
    ensure!(
        (0.0..=1_000.0).contains(&scale),
        "a scale of {scale} is not from 0 to 1000"
    );
    let background = (scale > 0.0).then_some(Background { seed, scale });
    let exact = if arguments.exact {
        play::Exact::Too
    } else {
        play::Exact::LeftOut
    };
    let judged = judge(set, input, background, exact, &arguments.judging)?;
    if let Some(directory) = &arguments.judging.report {
        let Judged {
            figures,
            bars,
            sections,
        } = &judged;
        let page = page::of(suite, &arguments.suite, figures, bars.clone(), sections.clone());
        output::page(directory, page, figures)?;
    }
    Ok(judged.figures)
}

fn judge(
    set: &RealSet,
    input: &Path,
    background: Option<Background>,
    exact: play::Exact,
    judging: &JudgingArguments,
) -> Result<Judged> {
    let days = set.days().filter(|days| *days <= play::DAYS_MAX);
    ensure!(
        days.is_some(),
        "{}: no event, or more than {} days of them",
        input.display(),
        play::DAYS_MAX
    );
    let played = play::play(set, background, exact);
    let matches = matching::matches(&played, judging.positive);
    if let Some(directory) = &judging.rows {
        rows::write(directory, &played, &matches)?;
    }
    let mut figures = compare::figures(&played, &matches, judging.positive);
    figures.insert("positive", json!(judging.positive));
    Ok(Judged {
        bars: page::bars(&played, &figures),
        sections: page::sections(&played, &figures, judging.positive),
        figures,
    })
}
