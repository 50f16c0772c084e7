//! A case as a row: the one place that knows the columns.

use tocsin_casework::{
    Case, CaseDecision, Code, Desk, Dispute, Episode, Lease, Merged, NoticeLoad, Resting, Ruling, Seen, Team, Undo,
};
use tocsin_model::{ContentId, DecisionId, FamilyId, PlatformId, Timestamp, Verdict, parse_hex_id};

use crate::database::{Row, Transaction, Value};
use crate::{StoreError, alert_json, decision_json};

pub(crate) const SELECT_CASES: &str = "SELECT c.case_id, c.team, c.family, c.opened_at, c.first_alert_at, c.last_alert_at, c.first_seen, c.first_claimed_at, c.first_decided_at, \
     c.own_episode, c.own_going_on, c.own_told_at, c.all_episode, c.all_going_on, c.all_told_at, c.priority, c.alert, c.version, c.waiting_since, c.desk, c.held_until, \
     c.resting, c.fencing, c.hash, c.open_notices, c.due_at, c.regions, c.languages, c.noticed_platforms, c.seen_at, c.seen_platforms, c.seen_severity, c.seen_live, c.lease_holder, c.lease_expires_at, c.draft, c.undo_until, c.undo_resting, c.undo_desk, \
     c.merged_into, c.merged_at, c.merged_resting, c.said_at, c.dispute_fencing, \
     d.decision_id, d.verdict, d.rationale, d.grounds, d.decided_by, d.decided_at, d.fencing AS decision_fencing, \
     u.decision_id AS undo_decision_id, u.verdict AS undo_verdict, u.rationale AS undo_rationale, u.grounds AS undo_grounds, \
     u.decided_by AS undo_decided_by, u.decided_at AS undo_decided_at, u.fencing AS undo_decision_fencing \
     FROM cases c LEFT JOIN decisions d ON d.decision_id = c.decision_id LEFT JOIN decisions u ON u.decision_id = c.undo_decision_id";

/// The columns that change, in the order of [`changing`].
const CHANGING: [&str; 47] = [
    "first_alert_at",
    "last_alert_at",
    "own_episode",
    "own_going_on",
    "own_told_at",
    "all_episode",
    "all_going_on",
    "all_told_at",
    "priority",
    "alert_id",
    "alert",
    "resting",
    "fencing",
    "lease_holder",
    "lease_expires_at",
    "decision_id",
    "version",
    "waiting_since",
    "desk",
    "held_until",
    "lane",
    "severity",
    "platforms",
    "draft",
    "undo_until",
    "undo_resting",
    "undo_desk",
    "undo_decision_id",
    "touched_at",
    "first_seen",
    "first_claimed_at",
    "first_decided_at",
    "merged_into",
    "merged_at",
    "merged_resting",
    "said_at",
    "dispute_fencing",
    "hash",
    "open_notices",
    "due_at",
    "regions",
    "languages",
    "noticed_platforms",
    "seen_at",
    "seen_platforms",
    "seen_severity",
    "seen_live",
];

/// Inserts a case unless the team has one of the family; how many rows.
pub(crate) async fn insert(transaction: &mut Transaction, case: &Case, now: Timestamp) -> Result<u64, sqlx::Error> {
    let mut values: Vec<Value> = vec![
        case.id.to_string().into(),
        case.team.to_number().into(),
        case.family.to_string().into(),
        case.opened_at.into(),
    ];
    values.extend(changing(case, now));
    let places = (1..=values.len())
        .map(|number| format!("${number}"))
        .collect::<Vec<_>>();
    let sql = format!(
        "INSERT INTO cases (case_id, team, family, opened_at, {}) VALUES ({}) ON CONFLICT (family, team) DO NOTHING",
        CHANGING.join(", "),
        places.join(", ")
    );
    transaction.execute(&sql, &values).await
}

/// Writes back all that changes of a case that this transaction holds locked.
pub(crate) async fn update(transaction: &mut Transaction, case: &Case, now: Timestamp) -> Result<(), sqlx::Error> {
    let mut values: Vec<Value> = vec![case.id.to_string().into()];
    values.extend(changing(case, now));
    let set = CHANGING
        .iter()
        .enumerate()
        .map(|(index, column)| format!("{column} = ${}", index + 2));
    let sql = format!(
        "UPDATE cases SET {} WHERE case_id = $1",
        set.collect::<Vec<_>>().join(", ")
    );
    transaction.execute(&sql, &values).await.map(drop)
}

fn changing(case: &Case, now: Timestamp) -> [Value; CHANGING.len()] {
    let id_text = |decision: &CaseDecision| format!("{:032x}", decision.id.0);
    let traits = case.traits();
    let (alert, undo, seen) = (case.alert.as_ref(), case.undo.as_ref(), case.seen.as_ref());
    // Nobody is handed what went into another case: it rests as if it were closed.
    let resting = case.merged.map_or(case.resting, |_| Resting::Closed);
    [
        case.first_alert_at.map_or(i64::MAX, |at| at.0).into(),
        case.last_alert_at.map_or(i64::MIN, |at| at.0).into(),
        i64::from(case.own_episode.number).into(),
        i64::from(case.own_episode.going_on).into(),
        case.own_episode.told_at.into(),
        i64::from(case.all_episode.number).into(),
        i64::from(case.all_episode.going_on).into(),
        case.all_episode.told_at.into(),
        case.priority.into(),
        alert.map(|alert| alert.id.to_string()).unwrap_or_default().into(),
        alert.map(alert_json::to_json).unwrap_or_default().into(),
        (resting as i64).into(),
        (case.fencing as i64).into(),
        case.lease.map(|lease| lease.holder.to_string()).into(),
        case.lease.map(|lease| lease.expires_at.0).into(),
        case.decision.as_ref().map(id_text).into(),
        (case.version as i64).into(),
        case.waiting_since.into(),
        (case.desk as i64).into(),
        case.held_until.map(|until| until.0).into(),
        (traits.lane as i64).into(),
        traits.severity.into(),
        platforms_text(&traits.platforms).into(),
        case.draft.as_ref().map(decision_json::draft_to_json).into(),
        undo.map(|undo| undo.until.0).into(),
        undo.map(|undo| undo.resting as i64).into(),
        undo.map(|undo| undo.desk as i64).into(),
        undo.and_then(|undo| undo.decision.as_ref()).map(id_text).into(),
        now.into(),
        case.first_seen.map_or(i64::MAX, |at| at.0).into(),
        case.first_claimed_at.map(|at| at.0).into(),
        case.first_decided_at.map(|at| at.0).into(),
        case.merged.map(|merged| merged.into.to_string()).into(),
        case.merged.map(|merged| merged.at.0).into(),
        case.merged.map(|_| case.resting as i64).into(),
        case.said_at.map(|at| at.0).into(),
        case.dispute.map(|dispute| dispute.fencing as i64).into(),
        alert_json::hash_to_json(&case.hash).into(),
        i64::from(case.notices.open).into(),
        case.notices.due_at.map(|at| at.0).into(),
        codes_text(&case.regions).into(),
        codes_text(&case.languages).into(),
        numbers_text(&case.noticed_platforms).into(),
        seen.map(|seen| seen.at.0).into(),
        seen.map(|seen| numbers_text(&seen.platforms))
            .unwrap_or_default()
            .into(),
        seen.map_or(1.0, |seen| seen.severity).into(),
        seen.and_then(|seen| seen.live.as_ref())
            .map(alert_json::live_to_json)
            .unwrap_or_default()
            .into(),
    ]
}

/// As [`platforms_text`]; empty where there is none, as in a case of a version before.
fn numbers_text(platforms: &[PlatformId]) -> String {
    match platforms.is_empty() {
        true => String::new(),
        false => platforms_text(platforms),
    }
}

/// The platforms of such a column.
pub(super) fn platforms(row: &Row, field: &'static str) -> Result<Vec<PlatformId>, StoreError> {
    let text = row.text(field).map_err(StoreError::database("read platforms"))?;
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            part.parse()
                .map(PlatformId)
                .map_err(|_| StoreError::Malformed { field })
        })
        .collect()
}

/// Each number between commas, so that one is found by its text.
fn platforms_text(platforms: &[PlatformId]) -> String {
    platforms
        .iter()
        .fold(",".to_owned(), |text, platform| text + &format!("{},", platform.0))
}

/// A case from a row of [`SELECT_CASES`].
pub(crate) fn case(row: &Row) -> Result<Case, StoreError> {
    let failed = StoreError::database("read a case");
    let malformed = |field| StoreError::Malformed { field };
    let number = |field| row.integer(field).map_err(StoreError::database("read a case"));
    let number_if_any = |field| row.integer_if_any(field).map_err(StoreError::database("read a case"));
    let time = |field| number(field).map(Timestamp);
    let episode = |last: &'static str, going_on, told_at| -> Result<Episode, StoreError> {
        Ok(Episode {
            number: u32::try_from(number(last)?).map_err(|_| malformed(last))?,
            going_on: number(going_on)? == 1,
            told_at: time(told_at)?,
        })
    };
    let lease = match (
        row.text_if_any("lease_holder").map_err(&failed)?,
        number_if_any("lease_expires_at")?,
    ) {
        (Some(holder), Some(expires_at)) => Some(Lease {
            holder: holder.parse().map_err(|_| malformed("lease_holder"))?,
            expires_at: Timestamp(expires_at),
        }),
        _ => None,
    };
    let undo = match (
        number_if_any("undo_until")?,
        number_if_any("undo_resting")?,
        number_if_any("undo_desk")?,
    ) {
        (Some(until), Some(resting), Some(desk)) => Some(Undo {
            until: Timestamp(until),
            resting: Resting::from_number(resting).ok_or(malformed("undo_resting"))?,
            desk: Desk::from_number(desk).ok_or(malformed("undo_desk"))?,
            decision: decision(row, &FORMER)?,
        }),
        _ => None,
    };
    let merged = match (
        row.text_if_any("merged_into").map_err(&failed)?,
        number_if_any("merged_at")?,
    ) {
        (Some(into), Some(at)) => Some(Merged {
            into: into.parse().map_err(|_| malformed("merged_into"))?,
            at: Timestamp(at),
        }),
        _ => None,
    };
    let live = match row.text("seen_live").map_err(&failed)?.as_str() {
        "" => None,
        live => Some(alert_json::live_from_json(live)?),
    };
    let seen = match number_if_any("seen_at")? {
        Some(at) => Some(Seen {
            at: Timestamp(at),
            platforms: platforms(row, "seen_platforms")?,
            severity: row.real("seen_severity").map_err(&failed)?,
            live,
        }),
        None => None,
    };
    let resting = match number_if_any("merged_resting")? {
        Some(resting) => resting,
        None => number("resting")?,
    };
    let draft = row.text_if_any("draft").map_err(&failed)?;
    let family = ContentId::parse(&row.text("family").map_err(&failed)?).ok_or(malformed("family"))?;
    let id = row.text("case_id").map_err(&failed)?;
    let alert = row.text("alert").map_err(&failed)?;
    let alert = match alert.as_str() {
        "" => None,
        stored => Some(alert_json::from_json(stored)?),
    };
    let hash = match (row.text("hash").map_err(&failed)?.as_str(), &alert) {
        // Of a version before cases had a hash of their own.
        ("", Some(alert)) => alert.hash.clone(),
        (stored, _) => alert_json::hash_from_json(stored)?,
    };
    Ok(Case {
        id: id.parse().map_err(|_| malformed("case_id"))?,
        team: team(row)?,
        family: FamilyId(family),
        hash,
        opened_at: time("opened_at")?,
        first_seen: time_if_any(row, "first_seen")?,
        first_claimed_at: number_if_any("first_claimed_at")?.map(Timestamp),
        first_decided_at: number_if_any("first_decided_at")?.map(Timestamp),
        first_alert_at: time_if_any(row, "first_alert_at")?,
        last_alert_at: time_if_any(row, "last_alert_at")?,
        own_episode: episode("own_episode", "own_going_on", "own_told_at")?,
        all_episode: episode("all_episode", "all_going_on", "all_told_at")?,
        alert,
        regions: codes(row, "regions")?,
        languages: codes(row, "languages")?,
        seen,
        noticed_platforms: platforms(row, "noticed_platforms")?,
        notices: NoticeLoad {
            open: u32::try_from(number("open_notices")?).map_err(|_| malformed("open_notices"))?,
            due_at: number_if_any("due_at")?.map(Timestamp),
        },
        priority: row.real("priority").map_err(&failed)?,
        version: number("version")? as u64,
        waiting_since: time("waiting_since")?,
        desk: Desk::from_number(number("desk")?).ok_or(malformed("desk"))?,
        held_until: number_if_any("held_until")?.map(Timestamp),
        resting: Resting::from_number(resting).ok_or(malformed("resting"))?,
        fencing: number("fencing")? as u64,
        lease,
        draft: draft.as_deref().map(decision_json::draft_from_json).transpose()?,
        decision: decision(row, &STANDING)?,
        undo,
        merged,
        said_at: number_if_any("said_at")?.map(Timestamp),
        dispute: number_if_any("dispute_fencing")?.map(|fencing| Dispute {
            fencing: fencing as u64,
        }),
    })
}

/// Each code between commas, so that one is found by its text; empty where there is none, as in a case of which nothing was heard.
pub(super) fn codes_text(codes: &[Code]) -> String {
    if codes.is_empty() {
        return String::new();
    }
    codes
        .iter()
        .fold(",".to_owned(), |text, code| text + &String::from_utf8_lossy(code) + ",")
}

/// The codes of such a column; empty before any was heard of.
pub(super) fn codes(row: &Row, field: &'static str) -> Result<Vec<Code>, StoreError> {
    let text = row.text(field).map_err(StoreError::database("read codes"))?;
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| part.as_bytes().try_into().map_err(|_| StoreError::Malformed { field }))
        .collect()
}

/// The time of a column that never is empty: what never was is the end of all times.
pub(crate) fn time_if_any(row: &Row, field: &str) -> Result<Option<Timestamp>, StoreError> {
    let time = row.integer(field).map_err(StoreError::database("read a time"))?;
    Ok(Some(time)
        .filter(|time| !matches!(*time, i64::MAX | i64::MIN))
        .map(Timestamp))
}

/// The columns of a decision: id, verdict, rationale, grounds, by whom, when, under which lease.
type Columns = [&'static str; 7];

const STANDING: Columns = [
    "decision_id",
    "verdict",
    "rationale",
    "grounds",
    "decided_by",
    "decided_at",
    "decision_fencing",
];
const FORMER: Columns = [
    "undo_decision_id",
    "undo_verdict",
    "undo_rationale",
    "undo_grounds",
    "undo_decided_by",
    "undo_decided_at",
    "undo_decision_fencing",
];

fn decision(row: &Row, columns: &Columns) -> Result<Option<CaseDecision>, StoreError> {
    let failed = StoreError::database("read a decision");
    let [id, verdict_column, rationale, grounds, decided_by, decided_at, fencing] = *columns;
    let Some(id) = row.text_if_any(id).map_err(&failed)? else {
        return Ok(None);
    };
    let decided_by = row.text(decided_by).map_err(&failed)?;
    Ok(Some(CaseDecision {
        id: decision_id(&id)?,
        ruling: Ruling {
            verdict: verdict_in(row, verdict_column)?,
            grounds: decision_json::grounds_from_json(&row.text(grounds).map_err(&failed)?)?,
            rationale: row.text(rationale).map_err(&failed)?,
        },
        decided_by: decided_by
            .parse()
            .map_err(|_| StoreError::Malformed { field: "decided_by" })?,
        decided_at: Timestamp(row.integer(decided_at).map_err(&failed)?),
        fencing: row.integer(fencing).map_err(&failed)? as u64,
    }))
}

pub(crate) fn decision_id(text: &str) -> Result<DecisionId, StoreError> {
    let id = parse_hex_id(text).map_err(|_| StoreError::Malformed { field: "decision_id" })?;
    Ok(DecisionId(id))
}

pub(crate) fn verdict(row: &Row) -> Result<Verdict, StoreError> {
    verdict_in(row, "verdict")
}

fn verdict_in(row: &Row, column: &str) -> Result<Verdict, StoreError> {
    let number = row.integer(column).map_err(StoreError::database("read a verdict"))?;
    let verdict = u8::try_from(number).ok().and_then(Verdict::from_number);
    verdict.ok_or(StoreError::Malformed { field: "verdict" })
}

pub(crate) fn team(row: &Row) -> Result<Team, StoreError> {
    let number = row.integer("team").map_err(StoreError::database("read a team"))?;
    Team::from_number(number).ok_or(StoreError::Malformed { field: "team" })
}
