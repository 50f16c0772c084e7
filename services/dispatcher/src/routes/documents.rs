//! What the routes take and answer.

use serde::Serialize;
use tocsin_casework::{Case, CaseDecision, Code, Draft};
use tocsin_model::{ContentId, KeyId, PlatformId, RecommendedAction, Timestamp, Verdict};
use tocsin_wire::Names;
use tocsin_wire::document::{HashText, LiveAnswer, TermAnswer, instant};
use utoipa::ToSchema;

use super::access::Access;
use super::acknowledgements::AcknowledgementDocument;
use super::alert_documents::CaseAlert;
use super::appeal_documents::AppealDocument;
use super::clocks::ClocksDocument;
use super::opinion_documents::OpinionDocument;
use super::reviews::ReviewDocument;
use super::shift::PauseDocument;
use super::tools::ToolDocument;
use crate::Dispatcher;

/// A page of a team's queue, highest priority first.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueDocument {
    /// `coordinators`, or the party's name.
    pub team: String,
    /// The store's time of this answer, RFC 3339.
    pub as_of: Option<String>,
    /// The cases. Empty in the lane `appeals`.
    pub cases: Vec<CaseDocument>,
    /// In the lane `appeals`, those that wait for an answer, the first filed first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub appeals: Vec<AppealDocument>,
    /// Pass it as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The answer to "claim the best".
#[derive(Debug, Serialize, ToSchema)]
pub struct ClaimDocument {
    /// The case, now held; `null` when none waits.
    pub case: Option<CaseDocument>,
    /// Whether it is time for a pause for whoever claimed. Null where nothing was claimed, or it could not be said.
    pub pause: Option<PauseDocument>,
    /// In the lane `appeals`, the appeal, now held; absent when none waits that you may answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appeal: Option<AppealDocument>,
    /// In the lane `second_review`, what was decided and is to be decided once more, now held; absent when nothing waits that you may review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewDocument>,
}

/// One family in a team's queue.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseDocument {
    /// Its identity, 32 hexadecimal digits.
    pub id: String,
    /// `coordinators`, or the party's name.
    pub team: String,
    /// `open`, `claimed`, `decided`, `closed` (the spread subsided before anybody decided) or `merged` (its family joined another, whose case it went
    /// into).
    pub state: &'static str,
    /// The family, 32 hexadecimal digits.
    pub family: String,
    /// The founding content's strongest hash.
    pub hash: HashText,
    /// Rises with every change of what people decide on, not with figures: the number in `ETag`, for `If-Match`.
    pub version: u64,
    /// `live` (while a stream runs), `watch_listed`, `notices` or `general`: the first that fits.
    pub lane: &'static str,
    /// Where it waits: `moderators`, `expert` or `legal`.
    pub desk: &'static str,
    /// How grave, from 1, by the latest figures.
    pub severity: f64,
    /// The platforms that saw the family, by name, and those that its notices name: what the filter `platform` looks at.
    pub platforms: Vec<String>,
    /// The family's live streams by the latest figures: whether they run, and their viewers. Null where none is known. What the alert told stands with it.
    pub live: Option<LiveAnswer>,
    /// The regions in which it spread within the last day, as far as they are told apart: ISO 3166-1.
    pub regions: Vec<String>,
    /// The languages in which it did: ISO 639-1.
    pub languages: Vec<String>,
    /// Since when it is in the queue: since it was opened, or came back.
    pub waiting_since: Option<String>,
    /// Put aside until then: nobody is handed it, unless it escalates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_until: Option<String>,
    /// How many notices of it wait for the team's answer.
    pub open_notices: u32,
    /// When the first of its notices is due, RFC 3339: what is due soon goes before every priority. Null where no time runs.
    pub notice_due_at: Option<String>,
    /// Orders the pages of the queue: by the alert that is shown.
    pub priority: f64,
    /// Orders claims: by the latest figures, at most a second old; by the alert where there are none. A case that is claimed or held has
    /// one too. Null once the case is decided or closed, until the dispatcher has read it, and where it finds no room in the ranks.
    pub live_priority: Option<f64>,
    /// The terms of the priority.
    pub priority_terms: Vec<TermAnswer>,
    /// When the case was opened, by the store's clock, RFC 3339.
    pub opened_at: Option<String>,
    /// When its first alert rang. Null: it was opened by a notice, and never rang.
    pub first_alert_at: Option<String>,
    /// When its last alert rang.
    pub last_alert_at: Option<String>,
    /// The store's time of this answer.
    pub as_of: Option<String>,
    /// When what happened first, and what is left of the golden hour.
    pub clocks: ClocksDocument,
    /// The figures of the alert that is shown. Null: it never rang.
    pub alert: Option<CaseAlert>,
    /// The number of the last lease; 0 when there was none.
    pub fencing: u64,
    /// Who holds the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<CaseLease>,
    /// An unfinished decision, kept for whoever holds the case next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<DraftDocument>,
    /// The decision that stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<CaseDecisionDocument>,
    /// The case that this one went into when its family joined another; in state `merged` alone. Until the family leaves it again, commands go there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// Whether its decision and that of a case that went into it differ. Over once somebody decides.
    pub disputed: bool,
    /// The cases that went into this one, at most 200, each with the decision that its family keeps until somebody decides about all. Told where one
    /// case is asked for; absent elsewhere, and where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged_cases: Vec<MergedCaseDocument>,
    /// Where the team's platforms that saw the family look at it, in their own tools. Absent where none is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolDocument>,
    /// Whether it is time for a pause for whoever claimed it. Told where a given case is claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<PauseDocument>,
    /// How many members of the family the decision that stands has reached, and none since. Told where one case is asked for, once it is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members_told: Option<u64>,
    /// The family's live streams, at most 64, whether they run or ended: what a recommendation to stop the stream is about. Told where one case is asked
    /// for; absent elsewhere, and where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<StreamDocument>,
    /// What parties hold of the family's contents, by hash, at most 100. Told where one case is asked for; absent elsewhere, and where nobody holds anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub opinions: Vec<OpinionDocument>,
    /// How far the team's own platforms confirm the decision that is out. Told where one case is asked for, and the decision waits for something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<AcknowledgementDocument>,
}

/// A live stream of a case's family.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamDocument {
    /// The content that is broadcast, 32 hexadecimal digits.
    pub content: String,
    /// On which platform.
    pub platform: String,
}

/// A case that went into another one.
#[derive(Debug, Serialize, ToSchema)]
pub struct MergedCaseDocument {
    /// Its identity, 32 hexadecimal digits: it goes on answering.
    pub id: String,
    /// Its family, 32 hexadecimal digits.
    pub family: String,
    /// When it went into this one, by the store's clock, RFC 3339.
    pub merged_at: Option<String>,
    /// What was decided about it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<CaseDecisionDocument>,
}

/// Who holds a case.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseLease {
    /// The id of the key that claimed it.
    pub holder: String,
    /// Whether that is the key that asks.
    pub is_yours: bool,
    /// When the lease is over, by the store's clock, RFC 3339.
    pub expires_at: Option<String>,
}

/// A decision about a case.
#[derive(Debug, Serialize, ToSchema)]
pub struct CaseDecisionDocument {
    /// Its identity, 32 hexadecimal digits: the same on `tocsin.decisions`.
    pub id: String,
    /// What was decided.
    pub verdict: &'static str,
    /// The rule it rests on; empty where none is named.
    pub policy: String,
    /// `remove`, `reduce`, `label`, `keep` or `stop_stream`; null where nothing is recommended.
    pub recommended_action: Option<&'static str>,
    /// How sure those who decided are, 0 to 100; null where they did not say.
    pub confidence_percent: Option<u8>,
    /// Members of the family that it is not about, 32 hexadecimal digits each.
    pub exceptions: Vec<String>,
    /// Why. It stays with the team.
    pub rationale: String,
    /// The id of the key that decided.
    pub decided_by: String,
    /// When, by the store's clock, RFC 3339.
    pub decided_at: Option<String>,
    /// Until then it can be taken back, and nobody is told of it. Null once it is out.
    pub goes_out_at: Option<String>,
}

/// An unfinished decision.
#[derive(Debug, Serialize, ToSchema)]
pub struct DraftDocument {
    /// What it may become.
    pub verdict: Option<&'static str>,
    /// The rule; empty where none is named.
    pub policy: String,
    /// What may be recommended.
    pub recommended_action: Option<&'static str>,
    /// How sure, 0 to 100.
    pub confidence_percent: Option<u8>,
    /// Members that it is not about.
    pub exceptions: Vec<String>,
    /// What is written so far.
    pub rationale: String,
}

/// What people did with a case, the latest first: at most 200 steps.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryDocument {
    /// The steps.
    pub steps: Vec<HistoryStep>,
}

/// One thing that somebody did with a case.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryStep {
    /// When, by the store's clock, RFC 3339.
    pub at: Option<String>,
    /// The id of the key that did it; null where nobody did: a time was over, or families joined or parted.
    pub who: Option<String>,
    /// The name of its person; null where the key is nobody's alone.
    pub person: Option<String>,
    /// `claimed`, `released`, `handed_over`, `escalated`, `held`, `skipped`, `decided`, `withdrawn`, `clock_told`,
    /// `removal_confirmed`, `restore_confirmed`, `reuploaded`, `unconfirmed_reminded`, `unconfirmed_escalated`, or
    /// `notice_` and `filed`, `suspended`, `resumed`, `answered` or `overdue`; and what came of families that joined or parted: `merged_into`,
    /// `merged_from`, `split_from` or `split_off`; `coop_refused`, `ozone_refused`: what a person wanted in Coop or Ozone, and the case did not take;
    /// `ozone_reported`: somebody reported a content of it in Ozone.
    pub kind: String,
    /// The key it was handed to, the desk, the decision, the notice, the clock, the platform, what followed or the other case;
    /// empty where there is none.
    pub about: String,
    /// The words that came with it; of a merge what came of it: `disputed`, `decision_carried`, `lease_moved` or `lease_ended`.
    pub note: String,
}

impl Dispatcher {
    /// A case as the one who asks sees it at `now`.
    pub(super) fn document(&self, case: &Case, now: Timestamp, access: &Access) -> CaseDocument {
        let asker = access.principal.key_id;
        let traits = case.traits();
        CaseDocument {
            id: case.id.to_string(),
            team: access.team_name(),
            state: case.state(now).name(),
            family: case.family.to_string(),
            hash: HashText::from(&case.hash),
            version: case.version,
            lane: traits.lane.name(),
            desk: traits.desk.name(),
            severity: traits.severity,
            platforms: self.platform_names(&traits.platforms),
            live: case.live().map(LiveAnswer::from),
            regions: traits.regions.iter().map(code_text).collect(),
            languages: traits.languages.iter().map(code_text).collect(),
            waiting_since: instant(case.waiting_since),
            held_until: case.held_until.filter(|until| now < *until).and_then(instant),
            open_notices: case.notices.open,
            notice_due_at: case.notices.due_at.and_then(instant),
            priority: case.priority,
            live_priority: self.ranking.priority(case.id),
            priority_terms: case
                .alert
                .iter()
                .flat_map(|alert| &alert.priority_terms)
                .map(TermAnswer::from)
                .collect(),
            opened_at: instant(case.opened_at),
            first_alert_at: case.first_alert_at.and_then(instant),
            last_alert_at: case.last_alert_at.and_then(instant),
            as_of: instant(now),
            clocks: ClocksDocument::of(&case.clocks(), now),
            alert: case.alert.as_ref().map(|alert| self.alert_document(alert, access.team)),
            fencing: case.fencing,
            lease: lease_document(case, now, asker),
            draft: case.draft.as_ref().map(draft_document),
            decision: case
                .decision
                .as_ref()
                .map(|decision| decision_document(decision, case.undo_until(now))),
            merged_into: case.merged_into().map(|into| into.to_string()),
            disputed: case.is_disputed(),
            merged_cases: Vec::new(),
            tools: self.tool_documents(case, &traits, access.team),
            pause: None,
            members_told: None,
            streams: Vec::new(),
            opinions: Vec::new(),
            acknowledgement: None,
        }
    }

    /// A case with those that went into it, and how many members its decision has reached.
    pub(super) fn whole_document(
        &self,
        (case, merged, members_told): (&Case, &[Case], Option<u64>),
        now: Timestamp,
        access: &Access,
    ) -> CaseDocument {
        let merged = merged.iter().map(|part| MergedCaseDocument {
            id: part.id.to_string(),
            family: part.family.to_string(),
            merged_at: part.merged.and_then(|merged| instant(merged.at)),
            decision: part.decision.as_ref().map(|decision| decision_document(decision, None)),
        });
        CaseDocument {
            merged_cases: merged.collect(),
            members_told,
            ..self.document(case, now, access)
        }
    }

    fn platform_names(&self, platforms: &[PlatformId]) -> Vec<String> {
        let names = self.names();
        let named = platforms.iter().map(|platform| platform_name(&names, *platform));
        named.collect()
    }
}

/// Its name, or its number before it was heard of.
pub(super) fn platform_name(names: &Names, platform: PlatformId) -> String {
    let name = names.platforms.get(&platform);
    name.map_or_else(|| platform.0.to_string(), ToString::to_string)
}

fn code_text(code: &Code) -> String {
    String::from_utf8_lossy(code).into_owned()
}

fn lease_document(case: &Case, now: Timestamp, asker: KeyId) -> Option<CaseLease> {
    case.live_lease(now).map(|lease| CaseLease {
        holder: lease.holder.to_string(),
        is_yours: lease.holder == asker,
        expires_at: instant(lease.expires_at),
    })
}

fn decision_document(decision: &CaseDecision, goes_out_at: Option<Timestamp>) -> CaseDecisionDocument {
    let grounds = &decision.ruling.grounds;
    CaseDecisionDocument {
        id: format!("{:032x}", decision.id.0),
        verdict: decision.ruling.verdict.name(),
        policy: grounds.policy.clone(),
        recommended_action: grounds.action.map(RecommendedAction::name),
        confidence_percent: grounds.confidence,
        exceptions: grounds.exceptions.iter().map(ContentId::to_string).collect(),
        rationale: decision.ruling.rationale.clone(),
        decided_by: decision.decided_by.to_string(),
        decided_at: instant(decision.decided_at),
        goes_out_at: goes_out_at.and_then(instant),
    }
}

fn draft_document(draft: &Draft) -> DraftDocument {
    DraftDocument {
        verdict: draft.verdict.map(Verdict::name),
        policy: draft.grounds.policy.clone(),
        recommended_action: draft.grounds.action.map(RecommendedAction::name),
        confidence_percent: draft.grounds.confidence,
        exceptions: draft.grounds.exceptions.iter().map(ContentId::to_string).collect(),
        rationale: draft.rationale.clone(),
    }
}
