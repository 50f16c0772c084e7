use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use tocsin_intake::TimeSource;
use tocsin_model::Name;

use crate::client::Source;
use crate::client_tls::TlsArguments;
use crate::config::Config;
use crate::recorded::{ELECTION_PLATFORMS, Format, PostContent, Recorded, election_posts};
use crate::replay::{Pace, Replayed, Speed, into_gateway, into_log};

/// What to replay, and where to.
#[derive(Debug, Args)]
pub struct ReplayCommand {
    /// What the file holds.
    #[arg(long, value_enum)]
    format: Format,
    /// The recording.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What of a post is its content. Each that a post has makes one event.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "phash,url,hashtag")]
    content: Vec<PostContent>,
    /// The party that publishes; registered with the recorded platforms when it is absent.
    #[arg(long, default_value = "election-posts", conflicts_with = "url")]
    party: Name,
    /// How many recorded seconds pass in a second, or `max`: as fast as the destination takes events.
    #[arg(long, default_value = "max", value_name = "FACTOR|max")]
    speed: Speed,
    /// The most events to replay, from the beginning.
    #[arg(long)]
    limit: Option<usize>,
    /// Publish through the gateway at this address instead of appending to the log. Events then count at the time they are sent.
    #[arg(long)]
    url: Option<String>,
    /// The file that holds the API key for it: of the party that owns the recorded platforms. Not wanted with a client certificate.
    #[arg(long, value_name = "FILE", requires = "url")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArguments,
}

impl ReplayCommand {
    /// Replays and says what became of it. Fails when an event was refused.
    pub async fn run(&self, config: &Config) -> Result<ExitCode> {
        let recorded = self.read()?;
        let pace = Pace { speed: self.speed };
        let replayed = match &self.url {
            Some(url) => {
                let read =
                    |path: &PathBuf| std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
                let source = Source {
                    url: url.clone(),
                    key: self.key_file.as_ref().map(read).transpose()?,
                    tls: self.tls.read(url)?,
                };
                ensure!(
                    source.key.is_some() || self.tls.has_certificate(),
                    "--url wants --key-file, or --client-certificate and --client-key"
                );
                let replayed = into_gateway(&source, &recorded, pace).await?;
                println!("{replayed}.");
                println!("They count at the time the gateway received them, not at the recorded time.");
                replayed
            }
            None => self.append(config, &recorded, pace).await?,
        };
        Ok(match replayed.refused {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }

    async fn append(&self, config: &Config, recorded: &[Recorded], pace: Pace) -> Result<Replayed> {
        let platforms = match self.format {
            Format::ElectionPosts => ELECTION_PLATFORMS.map(|name| name.parse()),
        };
        let platforms = platforms.into_iter().collect::<Result<Vec<Name>, _>>()?;
        let replayed = into_log(config, (&self.party, &platforms), recorded, pace).await?;
        println!("{replayed} to {}.", tocsin_wire::topics::ingest_name(&self.party));
        if config.intake.time_source == TimeSource::Log {
            println!(
                "To count them at their recorded times, run intake with --set intake.time_source=supplied; by default it goes by the \
                 log's time, and events older than two hours are in no window."
            );
        }
        Ok(replayed)
    }

    fn read(&self) -> Result<Vec<Recorded>> {
        let mut recorded = match self.format {
            Format::ElectionPosts => election_posts(&self.file, &self.content)?,
        };
        recorded.truncate(self.limit.unwrap_or(usize::MAX));
        ensure!(
            !recorded.is_empty(),
            "{} holds no event with the content asked for",
            self.file.display()
        );
        Ok(recorded)
    }
}
