use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use tocsin_casework::{Case, CaseState, Filter, Team};
use tocsin_exchange::write::{self, Reaction, Sighted, TlpMark};
use tocsin_model::{Aggregate, BankName, ContentHash, Milliseconds, PlatformId, Timestamp, Verdict};
use tocsin_store::{QueueQuery, Store, WatchListing};

use super::PAGE;
use super::sightings::{Ruled, SeenEntry, Sightings};
use crate::client::Source;
use crate::client_tls::TlsArguments;

/// Writes a bank, or how its entries fared, for others, to the standard output.
///
/// With a key of the team, what was seen of an entry is what the query API counted of its own content, exactly, whichever family that founded, joined or
/// was taken out of; and what was decided is what stands of the family that it belongs to now.
///
/// Of what is not counted any more, and of all without a key, the cases of the team tell whose family the entry's hash founded: its first and last
/// sighting, and as the count the least spread of the family in the 24 hours before the last alert. Either way nothing leaves the team's scope. An entry
/// whose content the decision excepts is left out: the case is about others.
#[derive(Debug, Args)]
pub struct ExportCommand {
    /// In which form.
    #[arg(long)]
    format: ExportFormat,
    /// Of which bank.
    #[arg(long)]
    bank: BankName,
    /// Whose cases say what was seen: coordinators, or the name of a party.
    #[arg(long, default_value = "coordinators")]
    team: String,
    /// The file that holds an API key of the team: a reader's or a moderator's.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The address of the query API that the key is shown to.
    #[arg(long, env = "TOCSIN_URL", default_value = "http://127.0.0.1:8340")]
    url: String,
    #[command(flatten)]
    tls: TlsArguments,
    /// Who speaks, in STIX.
    #[arg(long, default_value = "Tocsin")]
    name: String,
    /// Who may be told, in STIX: red, amber, green or white.
    #[arg(long, default_value = "amber", value_parser = tlp)]
    tlp: TlpMark,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Lines `signal_type signal` of all entries.
    LocalFile,
    /// A STIX 2.1 bundle: an indicator and a sighting for each entry that was seen.
    Stix,
    /// A line of JSON for each reaction: SAW_THIS_TOO of what was seen, HELPFUL and NOT_HELPFUL as was decided.
    ThreatexchangeReactions,
}

fn tlp(name: &str) -> Result<TlpMark, String> {
    TlpMark::from_name(name).ok_or_else(|| "red, amber, green or white".to_owned())
}

type Out = BufWriter<io::StdoutLock<'static>>;

/// Entries that may be handed on.
pub(super) struct Held {
    pub listings: Vec<WatchListing>,
    /// How many are not.
    pub left_out: u64,
}

/// What nobody disputes, calls harmless or only wants to be looked at: the rest is not for others to match by.
pub(super) async fn held(store: &Store, listings: Vec<WatchListing>) -> Result<Held> {
    let hashes: Vec<ContentHash> = listings.iter().map(|listing| listing.hash.clone()).collect();
    let opinions = store.opinions_of(&hashes).await?;
    let entries = listings.len();
    let held = listings.into_iter().zip(opinions);
    let held = held.filter(|(_, opinion)| matches!(opinion, None | Some(Aggregate::Positive)));
    let listings: Vec<WatchListing> = held.map(|(listing, _)| listing).collect();
    Ok(Held {
        left_out: (entries - listings.len()) as u64,
        listings,
    })
}

impl ExportCommand {
    pub async fn run(&self, store: &Store) -> Result<()> {
        let banks = store.banks().await?;
        ensure!(
            banks.iter().any(|bank| bank.name == self.bank),
            "there is no bank {}",
            self.bank
        );
        match self.format {
            ExportFormat::LocalFile => self.local_file(store).await,
            ExportFormat::Stix => self.stix(store).await,
            ExportFormat::ThreatexchangeReactions => self.reactions(store).await,
        }
    }

    async fn local_file(&self, store: &Store) -> Result<()> {
        let mut after = None;
        let (mut left_out, mut not_held) = (0_u64, 0);
        loop {
            let (listings, next) = store.watch_listings(Some(&self.bank), after.as_ref(), PAGE).await?;
            let held = held(store, listings).await?;
            not_held += held.left_out;
            let mut out = stdout();
            for listing in held.listings {
                match write::local_file_line(&listing.hash) {
                    Some(line) => writeln!(out, "{line}")?,
                    None => left_out += 1,
                }
            }
            out.flush()?;
            let Some(next) = next else { break };
            after = Some(next);
        }
        if left_out > 0 {
            eprintln!("left out {left_out} entries: the format has no name for their kind of hash");
        }
        if not_held > 0 {
            eprintln!(
                "left out {not_held} entries: parties dispute them, call them harmless, or only want them looked at"
            );
        }
        Ok(())
    }

    async fn reactions(&self, store: &Store) -> Result<()> {
        let team = team(store, &self.team).await?;
        let mut told = BTreeSet::new();
        if let Some(mut sightings) = self.sightings(store, team).await? {
            while let Some((entries, hashes)) = sightings.next().await? {
                told.extend(hashes);
                for entry in entries.iter().filter(|entry| entry.ruled != Ruled::Excepted) {
                    let verdict = match entry.ruled {
                        Ruled::As(verdict) => Some(verdict),
                        Ruled::Nothing | Ruled::Excepted => None,
                    };
                    write_reactions(&entry.listing, Some(Reaction::SawThisToo), verdict)?;
                }
            }
        }
        let mut cases = Cases::of(store, team);
        while let Some((case, listing)) = cases.next(&self.bank).await? {
            if told.contains(&listing.hash) {
                continue;
            }
            // A case may be opened by a notice, before the family is seen.
            let seen = case.alert.map(|_| Reaction::SawThisToo);
            write_reactions(&listing, seen, case.decision.map(|decision| decision.ruling.verdict))?;
        }
        Ok(())
    }

    async fn stix(&self, store: &Store) -> Result<()> {
        let team = team(store, &self.team).await?;
        let platforms = platforms(store).await?;
        // The same speaker has the same id in every bundle, so it does not say when this one was made.
        let speaker = write::identity(&self.name, "organization", Timestamp(0));
        let mut bundle = Bundle {
            speaker: speaker["id"].as_str().unwrap_or_default().to_owned(),
            tlp: self.tlp,
            named: BTreeSet::new(),
        };
        let mut told = BTreeSet::new();
        // What is refused leaves no half of a bundle behind.
        let sightings = self.sightings(store, team).await?;
        write_out(&(write::bundle_begin(self.bank.as_str()) + &speaker.to_string()))?;
        if let Some(mut sightings) = sightings {
            while let Some((entries, hashes)) = sightings.next().await? {
                told.extend(hashes);
                for entry in entries.iter().filter(|entry| entry.ruled != Ruled::Excepted) {
                    bundle.write(&Seen::of_entry(entry))?;
                }
            }
        }
        let mut cases = Cases::of(store, team);
        while let Some((case, listing)) = cases.next(&self.bank).await? {
            // A case may be opened by a notice, before the family is seen.
            let Some(alert) = case.alert.filter(|_| !told.contains(&listing.hash)) else {
                continue;
            };
            let on = alert.platforms.iter().filter(|figures| figures.spread_24h > 0);
            bundle.write(&Seen {
                listing: &listing,
                first_seen: alert.first_seen,
                last_seen: case.last_alert_at.unwrap_or(alert.at),
                count: alert.spread_24h.low,
                about_count: OF_FAMILY,
                platforms: on.filter_map(|figures| platforms.get(&figures.platform)).collect(),
            })?;
        }
        write_out(write::bundle_end())
    }

    /// What the query API says of the bank, where a key or a certificate of the team is there to ask with.
    async fn sightings<'a>(&'a self, store: &'a Store, team: Team) -> Result<Option<Sightings<'a>>> {
        if self.key_file.is_none() && !self.tls.has_certificate() {
            return Ok(None);
        }
        let read = |path: &PathBuf| std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
        let source = Source {
            url: self.url.clone(),
            key: self.key_file.as_ref().map(read).transpose()?,
            tls: self.tls.read(&self.url)?,
        };
        let team = (team, self.team.as_str());
        Ok(Some(Sightings::begin(source, store, &self.bank, team).await?))
    }
}

const EXACT: &str =
    "uploads, blocked uploads, shares and starts of live streams of this very content since it is counted exactly";
const AT_LEAST: &str = "at least: uploads, blocked uploads, shares and starts of live streams of this very content since it is counted exactly";
const OF_FAMILY: &str =
    "at least: uploads, blocked uploads and shares of the family in the 24 hours before the last alert";

/// An entry and what was seen of it.
struct Seen<'a> {
    listing: &'a WatchListing,
    first_seen: Timestamp,
    last_seen: Timestamp,
    count: u64,
    about_count: &'static str,
    platforms: Vec<&'a String>,
}

impl<'a> Seen<'a> {
    fn of_entry(entry: &'a SeenEntry) -> Seen<'a> {
        Seen {
            listing: &entry.listing,
            first_seen: entry.first_seen,
            last_seen: entry.last_seen,
            count: entry.count,
            about_count: if entry.is_exact { EXACT } else { AT_LEAST },
            platforms: entry.platforms.iter().collect(),
        }
    }
}

/// A STIX bundle that is being written.
struct Bundle {
    speaker: String,
    tlp: TlpMark,
    /// The platforms that stand in it.
    named: BTreeSet<String>,
}

impl Bundle {
    /// Writes an indicator and a sighting of it; nothing where there is no pattern for the kind of hash.
    fn write(&mut self, seen: &Seen<'_>) -> Result<()> {
        let by = (self.speaker.as_str(), self.tlp);
        let listing = seen.listing;
        let Some(indicator) = write::indicator(&listing.hash, listing.listed_at, by) else {
            return Ok(());
        };
        let mut objects = Vec::new();
        let mut seen_at = Vec::new();
        for name in &seen.platforms {
            let platform = write::identity(name, "system", Timestamp(0));
            seen_at.push(platform["id"].as_str().unwrap_or_default().to_owned());
            if self.named.insert((*name).clone()) {
                objects.push(platform);
            }
        }
        if seen_at.is_empty() {
            seen_at.push(self.speaker.clone());
        }
        objects.push(indicator);
        objects.push(write::sighting(
            &Sighted {
                hash: &listing.hash,
                first_seen: seen.first_seen,
                last_seen: seen.last_seen,
                count: seen.count,
                about_count: seen.about_count,
                seen_at: &seen_at,
            },
            by,
        ));
        let text: String = objects.iter().map(|object| format!(",\n{object}")).collect();
        write_out(&text)
    }
}

/// Writes how an entry fared.
fn write_reactions(listing: &WatchListing, seen: Option<Reaction>, verdict: Option<Verdict>) -> Result<()> {
    let opinion = match verdict {
        Some(Verdict::Violating) => Some(Reaction::Helpful),
        Some(Verdict::Benign) => Some(Reaction::NotHelpful),
        _ => None,
    };
    let reactions: Vec<Reaction> = seen.into_iter().chain(opinion).collect();
    let requests = write::reactions(listing.source_id.as_deref(), &listing.tags, &reactions);
    let text: String = requests.iter().map(|request| format!("{request}\n")).collect();
    write_out(&text)
}

fn stdout() -> Out {
    BufWriter::new(io::stdout().lock())
}

fn write_out(text: &str) -> Result<()> {
    let mut out = stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Coordinators, or a party by its name.
async fn team(store: &Store, team: &str) -> Result<Team> {
    Ok(match team {
        "coordinators" => Team::Coordinators,
        name => Team::Party(
            store
                .party_named(&name.parse().context("a team is coordinators or a party")?)
                .await?
                .id,
        ),
    })
}

/// The names of all platforms.
async fn platforms(store: &Store) -> Result<BTreeMap<PlatformId, String>> {
    let parties = store.party_changes_since(0).await?;
    let platforms = parties.into_iter().flat_map(|party| party.platforms);
    Ok(platforms.map(|(id, name)| (id, name.to_string())).collect())
}

/// The cases of a team, state by state and page by page: none is held longer than it is written.
struct Cases<'a> {
    store: &'a Store,
    query: QueueQuery,
    states: std::vec::IntoIter<CaseState>,
    page: std::vec::IntoIter<Case>,
    is_last: bool,
}

impl<'a> Cases<'a> {
    fn of(store: &'a Store, team: Team) -> Cases<'a> {
        let states = vec![
            CaseState::Claimed,
            CaseState::Decided,
            CaseState::Closed,
            CaseState::Merged,
        ];
        Cases {
            store,
            query: QueueQuery {
                team,
                state: CaseState::Open,
                filter: Filter::default(),
                urgent_within: Milliseconds(0),
                limit: QueueQuery::LIMIT_MAX,
                after: None,
            },
            states: states.into_iter(),
            page: Vec::new().into_iter(),
            is_last: false,
        }
    }

    /// The next case that is about an entry of a bank, and the entry.
    async fn next(&mut self, bank: &BankName) -> Result<Option<(Case, WatchListing)>> {
        loop {
            let Some(case) = self.page.next() else {
                if self.is_last {
                    let Some(state) = self.states.next() else {
                        return Ok(None);
                    };
                    self.query.state = state;
                    self.query.after = None;
                }
                let mut page = self.store.queue(&self.query).await?;
                for case in &mut page.cases {
                    // What can still be taken back is nobody else's to know.
                    case.decision = case.decision_out(page.as_of).cloned();
                }
                self.is_last = page.next.is_none();
                self.query.after = page.next;
                self.page = page.cases.into_iter();
                continue;
            };
            // The family has its founder's id.
            let mut excepted = case
                .decision
                .iter()
                .flat_map(|decision| &decision.ruling.grounds.exceptions);
            if excepted.any(|content| *content == case.family.0) {
                continue;
            }
            if let Some(decision) = &case.decision {
                let decided = (self.query.team, decision.decided_at);
                if self.store.is_excepted_by_appeal(decided, case.family.0).await? {
                    continue;
                }
            }
            let (listings, _) = self.store.listings_of(&case.hash).await?;
            if let Some(listing) = listings.into_iter().find(|listing| listing.bank == *bank) {
                return Ok(Some((case, listing)));
            }
        }
    }
}
