//! What a look-up of a signal finds: contents that are announced or that live incidents list, with their velocity and provenance, bank by bank, in the
//! shape of the open matcher HMA.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use tocsin_family::{Pdq, Video};
use tocsin_model::{Aggregate, ContentId, FamilyId, Scope, ToldBy};
use tocsin_store::ListingsOf;
use tocsin_velocity::figures::WindowLength;
use tocsin_wire::document::{Range, instant};
use utoipa::ToSchema;

use super::{AnswerError, FamilyAnswer, QuarantineAnswer, family_answer, window_name};
use crate::banks::banks_of;
use crate::incidents::{InIncident, VisibleIncidents, bank_of};
use crate::replica::{Announced, MatchedHash, ReplicaState};

/// The most contents that one look-up finds: the nearest.
pub const MATCHES_MAX: usize = 64;

/// The matches of each bank, the nearest first. Banks without a match are not named.
pub type MatchesByBank = BTreeMap<String, Vec<MatchAnswer>>;

/// The entries of a content in the banks that list it, and what parties hold of it together.
pub type Listed = ListingsOf;

/// What is looked for.
#[derive(Clone, Debug)]
pub enum Sought {
    /// What is announced under exactly this hash.
    Equal(ContentId),
    /// What is announced at most [`Pdq::DISTANCE_MAX`] bits away.
    Near(Pdq),
    /// What is announced with a video that is the same by its frames.
    SameVideo(Video),
}

/// One match.
///
/// `bank_content_id` and `distance` are HMA's own fields with HMA's types, a number and text: `MatchWithDistance` in
/// `hasher-matcher-actioner/src/OpenMediaMatch/schemas/matching.py` and `lookup` in `blueprints/matching.py` beside it, 2026. Its guide shows
/// `distance` as a number; its code, and what Coop declares, is text.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MatchAnswer {
    /// The first 53 of the content's 128 bits, so that every JSON reader takes it whole.
    pub bank_content_id: u64,
    /// Of PDQ hashes, in how many of 256 bits they differ, `0` to `31`; of videos looked up by frames, as HMA has it, the larger of the two shares of frames
    /// that agree, in percent; `-` where hashes are equal.
    pub distance: String,
    /// What HMA does not tell.
    pub tocsin: MatchDetails,
}

/// What Tocsin knows of a matched content.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MatchDetails {
    /// The content, 32 hexadecimal digits: ask `/v1/families/{id}` for more.
    pub content: String,
    /// The family it belongs to in the reader's scope.
    pub family: String,
    /// How fast that family is spread. Null while nothing of it is told in the reader's scope.
    pub velocity: Option<VelocityAnswer>,
    /// Who listed it. Empty when it is in no bank of the watch list.
    pub listed: Vec<ListingAnswer>,
    /// The live incidents that the reader may read and in which it stands.
    pub incidents: Vec<IncidentAnswer>,
    /// What parties hold of it together, where they said so: `negative`, `investigation_seed`, `positive` or `disputed`.
    pub opinion: Option<&'static str>,
    /// Why it matched.
    pub evidence: MatchEvidence,
}

/// How fast a family is spread, inside the reader's scope.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct VelocityAnswer {
    /// `hot`: counted exactly since it became hot; `cold`: counted approximately.
    pub state: &'static str,
    /// Uploads, blocked uploads and shares of the last 5 minutes.
    pub spread_5m: Range,
    /// The same of the last hour.
    pub spread_1h: Range,
    /// The same of the last 24 hours.
    pub spread_24h: Range,
    /// Why it is not counted exactly although it comes so often. Null when it is no flood.
    pub quarantined: Option<QuarantineAnswer>,
    /// The time up to which everything is counted, RFC 3339.
    pub as_of: Option<String>,
    /// How far that is behind, in milliseconds.
    pub lag_ms: u64,
}

/// One bank's entry of a content.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ListingAnswer {
    /// The bank.
    pub bank: String,
    /// Who listed it.
    pub source: String,
    /// How grave it is, 1 to 4.
    pub severity: u8,
    /// The source's own name of it.
    pub source_id: Option<String>,
    /// When, RFC 3339.
    pub listed_at: Option<String>,
}

/// That a content stands in a live incident.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct IncidentAnswer {
    /// The bank: `INCIDENT_` and the incident's id in capitals.
    pub bank: String,
    /// The incident, 32 hexadecimal digits: ask `/v1/incidents/{id}` for more.
    pub incident: String,
    /// Why it stands there: `family`, its family is attached to the incident; `pack`, a pack of it that was not withdrawn lists its hash.
    pub by: Vec<&'static str>,
}

/// Why a content matched.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MatchEvidence {
    /// `equal`: the same hash; `near`: a PDQ hash at most 31 bits away; `frames`: at least half of the frames of both videos agree.
    pub kind: &'static str,
    /// In how many of 256 bits the PDQ hashes differ. Null where hashes are equal.
    pub distance: Option<u32>,
    /// Of the video looked up so many frames of a hundred show what the one found does. Absent where hashes were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_of_sought: Option<u16>,
    /// Of the video found so many show what the one looked up does. Absent where hashes were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_of_found: Option<u16>,
    /// Whose word the frames of the video found are: `one_party`, who alone told them, so that nobody seconds what they show; `several_parties`; or `unknown`, they were
    /// written down by an earlier version. Absent where hashes were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames_told_by: Option<&'static str>,
    /// Which hash of the content matched: `strongest`, the one that names it; `further`, another one that its events carried; or `incident`, the one by which
    /// a pack of a live incident names it, where nothing announces the content any more.
    pub hash: &'static str,
}

/// A content that a look-up found, before it is known who lists it.
#[derive(Clone, Debug)]
pub struct FoundContent {
    /// What was found.
    pub announced: Announced,
    /// Its family in the reader's scope, where one of its records is hot there.
    pub hot_family: Option<FamilyId>,
    /// Whether a watch list may have it: nothing else can hold what is not hot.
    pub may_be_listed: bool,
    /// The live incidents that the reader may read and in which it stands.
    pub incidents: Vec<InIncident>,
    velocity: Option<VelocityAnswer>,
}

/// The contents that a look-up finds, the nearest first: those that are announced inside a scope, and those that packs of the incidents that the reader may
/// read list beside them.
///
/// # Errors
/// A partition has not told its time yet.
pub fn find(
    replica: &ReplicaState,
    scope: Scope,
    incidents: &VisibleIncidents,
    sought: Sought,
    now_ms: i64,
) -> Result<Vec<FoundContent>, AnswerError> {
    let announced = match sought {
        Sought::Equal(id) => {
            let packed = incidents.equal(id).into_iter().collect();
            with_packed(replica.announced.equal(id, scope, MATCHES_MAX), packed)
        }
        Sought::Near(pdq) => {
            let packed = incidents.near(&pdq, MATCHES_MAX);
            with_packed(replica.announced.near(&pdq, scope, MATCHES_MAX), packed)
        }
        Sought::SameVideo(video) => replica.announced.same_video(&video, scope, MATCHES_MAX),
    };
    if announced.is_empty() {
        return Ok(Vec::new());
    }
    // An attached family may have joined another since.
    let attached = incidents.attached(|family| replica.hot.family_of(family.0, scope).unwrap_or(family));
    // Variants are mostly of one family, whose figures are made once.
    let mut velocities: BTreeMap<FamilyId, Option<VelocityAnswer>> = BTreeMap::new();
    let found = announced.into_iter().map(|announced| {
        let content = announced.content;
        let hot_family = replica.hot.family_of(content, scope);
        let family = hot_family.unwrap_or(FamilyId(content));
        let velocity = match velocities.get(&family) {
            Some(known) => known.clone(),
            None => {
                let made = velocity(replica, scope, content, now_ms)?;
                velocities.insert(family, made.clone());
                made
            }
        };
        let records = replica.hot.visible(content, scope);
        Ok(FoundContent {
            may_be_listed: records.is_empty() || records.iter().any(|record| record.watched().is_some()),
            incidents: incidents.with(content, family, &attached),
            announced,
            hot_family,
            velocity,
        })
    });
    found.collect()
}

/// What is announced and what packs list, as one list, the nearest first and of equally near ones ascending. What is both is told as it is announced.
fn with_packed(mut announced: Vec<Announced>, packed: Vec<Announced>) -> Vec<Announced> {
    let known: BTreeSet<ContentId> = announced.iter().map(|found| found.content).collect();
    announced.extend(packed.into_iter().filter(|found| !known.contains(&found.content)));
    announced.sort_by_key(|found| (found.distance, found.content));
    announced.truncate(MATCHES_MAX);
    announced
}

/// The answer, with who lists each of the contents found. What is neither hot nor listed any more, nor in an incident, is in no bank; `wanted` says which
/// banks were asked for.
pub fn matches_by_bank(found: &[(FoundContent, Arc<Listed>)], wanted: impl Fn(&str) -> bool) -> MatchesByBank {
    let mut banks = MatchesByBank::new();
    for (content, listed) in found {
        for bank in banks_of(content.hot_family.is_some(), &listed.0, &content.incidents) {
            if wanted(&bank) {
                banks.entry(bank).or_default().push(match_answer(content, listed));
            }
        }
    }
    banks
}

/// The contents found that stand in a bank that was asked for, each once, the nearest first.
pub fn matches_in_any_bank(found: &[(FoundContent, Arc<Listed>)], wanted: impl Fn(&str) -> bool) -> Vec<MatchAnswer> {
    let stands = |content: &FoundContent, listed: &Listed| {
        let banks = banks_of(content.hot_family.is_some(), &listed.0, &content.incidents);
        banks.iter().any(|bank| wanted(bank))
    };
    let matches = found.iter().filter(|(content, listed)| stands(content, listed));
    matches.map(|(content, listed)| match_answer(content, listed)).collect()
}

/// The number by which HMA's clients know a content: its first 53 bits. Content ids are keyed hashes, so two of 10^6 contents share a number
/// with a probability of one in 18,000.
pub fn bank_content_id(content: ContentId) -> u64 {
    (content.0 >> 75) as u64
}

fn match_answer(found: &FoundContent, (listings, opinion): &Listed) -> MatchAnswer {
    let Announced {
        content,
        distance,
        shares,
        by,
        ..
    } = &found.announced;
    let larger_share = shares.map(|shares| u32::from(shares.of_sought.max(shares.of_found)));
    MatchAnswer {
        bank_content_id: bank_content_id(*content),
        distance: distance
            .or(larger_share)
            .map_or_else(|| "-".to_owned(), |distance| distance.to_string()),
        tocsin: MatchDetails {
            content: content.to_string(),
            family: found.hot_family.unwrap_or(FamilyId(*content)).to_string(),
            velocity: found.velocity.clone(),
            listed: listings
                .iter()
                .map(|listing| ListingAnswer {
                    bank: listing.bank.to_string(),
                    source: listing.source.to_string(),
                    severity: listing.severity.get(),
                    source_id: listing.source_id.clone(),
                    listed_at: instant(listing.listed_at),
                })
                .collect(),
            incidents: found.incidents.iter().map(incident_answer).collect(),
            opinion: opinion.map(Aggregate::name),
            evidence: MatchEvidence {
                kind: match (distance, shares) {
                    (Some(_), _) => "near",
                    (None, Some(_)) => "frames",
                    (None, None) => "equal",
                },
                distance: *distance,
                share_of_sought: shares.map(|shares| shares.of_sought),
                share_of_found: shares.map(|shares| shares.of_found),
                frames_told_by: shares.map(|shares| match shares.told_by {
                    ToldBy::Alone(_) => "one_party",
                    ToldBy::Several => "several_parties",
                    ToldBy::Unknown => "unknown",
                }),
                hash: match by {
                    MatchedHash::Strongest => "strongest",
                    MatchedHash::Further => "further",
                    MatchedHash::Packed => "incident",
                },
            },
        },
    }
}

fn incident_answer(standing: &InIncident) -> IncidentAnswer {
    let family = standing.by_family.then_some("family");
    let pack = standing.by_pack.then_some("pack");
    IncidentAnswer {
        bank: bank_of(standing.incident),
        incident: standing.incident.to_string(),
        by: family.into_iter().chain(pack).collect(),
    }
}

fn velocity(
    replica: &ReplicaState,
    scope: Scope,
    content: ContentId,
    now_ms: i64,
) -> Result<Option<VelocityAnswer>, AnswerError> {
    let nothing = |length| (window_name(length), Range { low: 0, high: 0 });
    let mut spread: BTreeMap<&str, Range> = WindowLength::ALL.map(nothing).into();
    let (state, quarantined, as_of, lag_ms) = match family_answer(replica, scope, content, None, now_ms) {
        Err(AnswerError::NotFound) => return Ok(None),
        Err(error) => return Err(error),
        Ok(FamilyAnswer::Hot(hot)) => {
            spread.extend(hot.windows.iter().map(|window| (window.window, window.spread)));
            ("hot", None, hot.as_of, hot.lag_ms)
        }
        Ok(FamilyAnswer::Cold(cold)) => {
            spread.extend(cold.windows.iter().map(|window| (window.window, window.spread)));
            ("cold", cold.quarantined, cold.as_of, cold.lag_ms)
        }
    };
    let of = |length| spread[window_name(length)];
    Ok(Some(VelocityAnswer {
        state,
        spread_5m: of(WindowLength::Minutes5),
        spread_1h: of(WindowLength::Hour1),
        spread_24h: of(WindowLength::Hours24),
        quarantined,
        as_of,
        lag_ms,
    }))
}
