//! What the query API says was seen of a bank's entries, each by its own content, and what a team decided of the families that these belong to now.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tocsin_casework::{CaseDecision, Refusal, Team};
use tocsin_model::{Algorithm, BankName, ContentHash, ContentId, FamilyId, Timestamp, Verdict};
use tocsin_store::{Store, StoreError, Subject, WatchListing};
use tocsin_wire::document::{HashText, Range, parse_instant};

use crate::client::Source;

/// So many families are remembered with what was decided of them.
const FAMILIES_MAX: usize = 4_096;

/// The entries of a bank of which something is counted exactly, as the query API tells them inside the scope of a key, page by page.
pub(super) struct Sightings<'a> {
    source: Source,
    store: &'a Store,
    bank: &'a BankName,
    team: Team,
    rulings: BTreeMap<FamilyId, Option<CaseDecision>>,
    /// The first page, until it is taken.
    first: Option<Page>,
    /// Where to go on; `None` at the end.
    after: Option<String>,
}

/// What was seen of an entry.
#[derive(Debug)]
pub(super) struct SeenEntry {
    pub listing: WatchListing,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub count: u64,
    /// Whether the count is exact, and not the least that it can be.
    pub is_exact: bool,
    /// Names of the platforms on which.
    pub platforms: Vec<String>,
    /// What the team decided of its content.
    pub ruled: Ruled,
}

/// What a team decided of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruled {
    /// Nothing that is out and undisputed.
    Nothing,
    /// This, of its family.
    As(Verdict),
    /// The decision of its family is not about it.
    Excepted,
}

/// What is read of who speaks.
#[derive(Debug, Deserialize)]
struct Speaker {
    team: String,
}

/// What is read of the answer.
#[derive(Debug, Deserialize)]
struct Page {
    scope: String,
    sightings: Vec<Told>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Told {
    hash: HashText,
    first_seen: Option<String>,
    last_seen: Option<String>,
    sightings: Range,
    platforms: Vec<OnPlatform>,
    contents: Vec<OfContent>,
}

#[derive(Debug, Deserialize)]
struct OnPlatform {
    platform: String,
    sightings: u64,
}

#[derive(Debug, Deserialize)]
struct OfContent {
    content: String,
    family: String,
}

impl<'a> Sightings<'a> {
    /// Asks for the first of them. `name` is the team's.
    ///
    /// # Errors
    /// The API refuses it, its key or certificate is not the team's, or the store failed.
    pub(super) async fn begin(
        source: Source,
        store: &'a Store,
        bank: &'a BankName,
        (team, name): (Team, &str),
    ) -> Result<Sightings<'a>> {
        let mut sightings = Sightings {
            source,
            store,
            bank,
            team,
            rulings: BTreeMap::new(),
            first: None,
            after: Some(String::new()),
        };
        sightings.check_speaker(name).await?;
        sightings.first = sightings.ask().await?;
        Ok(sightings)
    }

    /// Whether it is the team that speaks: all parties see a scope of the same name, each its own. A key that is shown beside a certificate is the one that
    /// this is bound to.
    async fn check_speaker(&self, name: &str) -> Result<()> {
        let Some(key) = &self.source.key else {
            // Who shows a certificate is known where it was proved. The scope of the coordinators is nobody else's.
            if let Team::Party(_) = self.team {
                let speaker: Speaker = self.source.wait_for("/v1/session", &[]).await?;
                let team = &speaker.team;
                ensure!(team == name, "{}", of_another_team(team, name));
            }
            return Ok(());
        };
        let principal = self.store.authenticate(key.trim()).await?;
        let principal = principal.context("the key is unknown in the store, or revoked")?;
        let (is_of_team, sees) = match (&principal.subject, self.team) {
            (Subject::Operator, _) => (false, "all".to_owned()),
            (Subject::Coordinators, team) => (team == Team::Coordinators, "coordinators".to_owned()),
            (Subject::Party(party, name), team) => (team == Team::Party(*party), format!("party {name}")),
        };
        ensure!(is_of_team, "{}", of_another_team(&sees, name));
        Ok(())
    }

    /// The next page; `None` at the end.
    async fn ask(&mut self) -> Result<Option<Page>> {
        let Some(after) = self.after.take() else {
            return Ok(None);
        };
        let mut parameters = vec![("bank", self.bank.to_string())];
        if !after.is_empty() {
            parameters.push(("after", after));
        }
        let mut page: Page = self.source.wait_for("/v1/bank-sightings", &parameters).await?;
        let scope = match self.team {
            Team::Coordinators => "coordinators",
            Team::Party(_) => "party",
        };
        ensure!(page.scope == scope, "{}", of_another_team(&page.scope, scope));
        self.after = page.next.take();
        Ok(Some(page))
    }

    /// The next entries, and the hashes of all that the answer tells of; `None` at the end. What is in the bank no more is left out.
    ///
    /// # Errors
    /// The API refuses it, its key sees another scope than the team's, or the store failed.
    pub(super) async fn next(&mut self) -> Result<Option<(Vec<SeenEntry>, Vec<ContentHash>)>> {
        let page = match self.first.take() {
            Some(first) => Some(first),
            None => self.ask().await?,
        };
        let Some(page) = page else {
            return Ok(None);
        };
        let hashes: Vec<ContentHash> = page.sightings.iter().map(hash).collect::<Result<_>>()?;
        let listings = self.store.listings_of_each(&hashes).await?;
        let mut entries = Vec::new();
        for (told, (listings, _)) in page.sightings.iter().zip(listings) {
            let Some(listing) = listings.into_iter().find(|listing| listing.bank == *self.bank) else {
                continue;
            };
            entries.push(self.entry(told, listing).await?);
        }
        Ok(Some((entries, hashes)))
    }

    async fn entry(&mut self, told: &Told, listing: WatchListing) -> Result<SeenEntry> {
        let at = |text: &Option<String>| text.as_deref().and_then(parse_instant);
        let seen = at(&told.first_seen).zip(at(&told.last_seen));
        let (first_seen, last_seen) = seen.context("the API says when an entry was seen")?;
        let on = told.platforms.iter().filter(|on| on.sightings > 0);
        Ok(SeenEntry {
            ruled: self.ruled(&told.contents).await?,
            listing,
            first_seen,
            last_seen,
            count: told.sightings.low,
            is_exact: told.sightings.low == told.sightings.high,
            platforms: on.map(|on| on.platform.clone()).collect(),
        })
    }

    /// What was decided of contents: of their families as they are now, so that what joined one, or was taken out, is told of as it stands. Where a hash has
    /// several contents of which different things were decided, nothing was; those that a decision excepts say nothing of the others.
    async fn ruled(&mut self, contents: &[OfContent]) -> Result<Ruled> {
        let (mut ruled, mut excepted) = (None, 0);
        for OfContent { content, family } in contents {
            let id = |text| ContentId::parse(text).context("the API names contents by 32 digits");
            let (content, family) = (id(content)?, FamilyId(id(family)?));
            let Some(decision) = self.decision(family).await? else {
                continue;
            };
            let is_excepted = decision.ruling.grounds.exceptions.contains(&content);
            let decided = (self.team, decision.decided_at);
            if is_excepted || self.store.is_excepted_by_appeal(decided, content).await? {
                excepted += 1;
                continue;
            }
            let verdict = decision.ruling.verdict;
            ruled = match ruled {
                None => Some(Ruled::As(verdict)),
                Some(Ruled::As(other)) if other == verdict => ruled,
                Some(_) => Some(Ruled::Nothing),
            };
        }
        Ok(match ruled {
            Some(ruled) => ruled,
            None if excepted > 0 && excepted == contents.len() => Ruled::Excepted,
            None => Ruled::Nothing,
        })
    }

    /// The decision of a family that is out and undisputed: of its case, or of the one that this went into.
    async fn decision(&mut self, family: FamilyId) -> Result<Option<CaseDecision>> {
        if let Some(known) = self.rulings.get(&family) {
            return Ok(known.clone());
        }
        let decision = match self.store.remaining_case(self.team, family).await {
            // What can still be taken back is nobody else's to know.
            Ok((case, now)) => case.decision_out(now).filter(|_| !case.is_disputed()).cloned(),
            Err(StoreError::Refused(Refusal::NoSuchCase)) => None,
            Err(error) => return Err(error.into()),
        };
        if self.rulings.len() >= FAMILIES_MAX {
            self.rulings.clear();
        }
        self.rulings.insert(family, decision.clone());
        Ok(decision)
    }
}

/// What is said of a key or certificate that is not the team's.
fn of_another_team(sees: &str, team: &str) -> String {
    format!(
        "the key sees what is in the scope {sees}, and the cases are those of {team}: name the team that it is a key of"
    )
}

fn hash(told: &Told) -> Result<ContentHash> {
    let algorithm = Algorithm::from_name(&told.hash.algorithm).context("the API names an algorithm")?;
    Ok(ContentHash::parse(algorithm, &told.hash.value, None)?)
}
