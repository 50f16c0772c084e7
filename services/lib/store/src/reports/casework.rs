//! Cases, decisions, and what platforms confirm of them.

use std::collections::BTreeMap;

use tocsin_casework::{Awaits, PlatformClocks, Resting};
use tocsin_model::{Milliseconds, PlatformId, RecommendedAction, Timestamp, Verdict};
use tocsin_report::{CaseRow, ContentKind, DecisionRow, Ordered, RemovalRow};

use super::Reading;
use crate::cases::{FOLLOWED_FOR, NOBODY, clock, time_if_any, verdict};
use crate::database::{Row, Transaction, Value, values_from};
use crate::decision_json::grounds_from_json;
use crate::party::number;
use crate::{StoreError, alert_json};

/// What a case is about: its hash, and how many live streams were known among its members before `$3`. Of rows of before hashes stood in the case, the alert has it.
pub(crate) const ABOUT: &str = "c.hash, CASE WHEN c.hash = '' THEN c.alert ELSE '' END AS hash_in, \
     (SELECT count(*) FROM case_streams s WHERE s.case_id = c.case_id AND (s.told_at IS NULL OR s.told_at < $3)) AS streams";

/// What a member on a platform is (`acknowledgements a`): its hash, and whether a live stream there was known before `$3` that is one of it.
pub(super) const MEMBER: &str = "a.hash, (SELECT count(*) FROM case_streams s WHERE s.case_id = c.case_id AND s.content = a.content AND s.platform_id = a.platform_id \
     AND (s.told_at IS NULL OR s.told_at < $3)) AS streams";

/// A case (`cases c`) that did not go into another before `$3`.
const STANDS: &str = "(c.merged_into IS NULL OR c.merged_at >= $3)";

/// A row of this alias that is no copy of one which stood at `$3` on its own, and counts there.
fn is_no_copy(alias: &str) -> String {
    format!(
        "({alias}.carried_from IS NULL OR NOT EXISTS (SELECT 1 FROM cases f WHERE f.case_id = {alias}.carried_from AND (f.merged_into IS NULL OR f.merged_at >= $3)))"
    )
}

/// A decision that is out before so long ago is followed no more: nothing was confirmed of it since. With room for who hears late.
pub(super) const CONFIRMED_WITHIN: Milliseconds = Milliseconds(FOLLOWED_FOR.0 + 24 * 60 * 60 * 1_000);

/// The same content on the same platform (`b`) under another decision (`v`) of the team `$1` that had it removed.
const THE_SAME: &str = "SELECT 1 FROM acknowledgements b JOIN awaited_decisions v ON v.decision_id = b.decision_id JOIN cases e ON e.case_id = v.case_id \
     WHERE b.content = a.content AND b.platform_id = a.platform_id AND b.decision_id <> a.decision_id AND v.awaits = 1 AND e.team = $1";
/// Which of the two was out later.
const LATER: &str = "(v.out_at > w.out_at OR (v.out_at = w.out_at AND v.decision_id > w.decision_id))";

/// What a later decision heard of the removal that an earlier one has: counts are of all times. That of which more was asked and answered since is confirmed anew.
pub(super) fn is_heard_before() -> String {
    format!(
        "(w.awaits = 1 AND a.confirmed_at IS NOT NULL AND a.confirmed_at < w.out_at AND EXISTS ({THE_SAME} AND v.out_at < w.out_at AND (b.settled_asked IS NOT NULL OR b.returned > 0)))"
    )
}

/// Whether a later decision has the very same confirmation.
pub(super) fn is_told_twice() -> String {
    format!("EXISTS ({THE_SAME} AND {LATER} AND b.confirmed_at >= v.out_at AND b.confirmed_at = a.confirmed_at)")
}

/// How many removal orders about a content on a platform, or its whole case, were received until `until`: those that certainly are about it, or those that name a content by
/// another kind of hash. In the store's form of a hash the kind stands before the value, and the value before the quality.
pub(super) fn orders(until: &str, answered: &str, is_certain: bool) -> String {
    let content = match is_certain {
        true => "(n.content IS NULL OR substr(n.content, 1, 92) = substr(a.hash, 1, 92))",
        false => "substr(n.content, 1, 17) <> substr(a.hash, 1, 17)",
    };
    format!(
        "(SELECT count(*) FROM notices n WHERE n.case_id IN (SELECT o.case_id FROM cases o WHERE o.case_id = c.case_id OR o.merged_into = c.case_id OR o.case_id = c.merged_into) \
         AND n.kind = 1 AND n.received_at <= {until} AND {answered} AND (n.platform_id IS NULL OR n.platform_id = a.platform_id) AND {content})"
    )
}

impl Reading {
    pub(super) async fn cases(&mut self) -> Result<(), StoreError> {
        let period = *self.tally.period();
        let sql = format!(
            "SELECT c.case_id, c.opened_at, c.first_seen, c.first_alert_at, c.last_alert_at, c.first_claimed_at, c.first_decided_at, c.merged_into, c.merged_at, \
             c.merged_resting, c.resting, c.waiting_since, {ABOUT}, \
             (SELECT min(n.received_at) FROM notices n WHERE n.case_id = c.case_id AND n.kind <> 4) AS noticed_at, \
             (SELECT d.verdict FROM decisions d WHERE (d.case_id = c.case_id OR d.decision_id = c.decision_id) AND d.withdrawn_at IS NULL AND d.decided_at < $3 \
             AND d.decided_by <> $4 AND {} ORDER BY d.decided_at DESC, d.fencing DESC, d.decision_id LIMIT 1) AS verdict \
             FROM cases c WHERE c.team = $1 AND c.opened_at >= $2 AND c.opened_at < $3 AND {} AND (c.opened_at, c.case_id) > ($5, $6) \
             ORDER BY c.opened_at, c.case_id",
            is_no_copy("d"),
            is_no_copy("c"),
        );
        let fixed = [
            self.team(),
            period.begins().into(),
            period.ends().into(),
            NOBODY.to_string().into(),
        ];
        let after = vec![i64::MIN.into(), "".into()];
        let next = |row: &Row| Ok(vec![row.integer("opened_at")?.into(), row.text("case_id")?.into()]);
        self.pages(&sql, (&fixed, after), next, async |transaction, tally, rows| {
            let mut clocks = clocks(transaction, rows).await?;
            for row in rows {
                let id = row.text("case_id").map_err(StoreError::database("read a report"))?;
                tally.case(&case(row, clocks.remove(&id).unwrap_or_default())?);
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn decisions(&mut self) -> Result<(), StoreError> {
        let period = *self.tally.period();
        let sql = format!(
            "SELECT d.decision_id, d.decided_at, d.verdict, d.grounds, {ABOUT} FROM decisions d JOIN cases c ON c.case_id = d.case_id \
             WHERE c.team = $1 AND d.decided_at >= $2 AND d.decided_at < $3 AND d.withdrawn_at IS NULL AND {STANDS} \
             AND d.decided_by <> $4 AND {} AND (d.decided_at, d.decision_id) > ($5, $6) ORDER BY d.decided_at, d.decision_id",
            is_no_copy("d"),
        );
        let fixed = [
            self.team(),
            period.begins().into(),
            period.ends().into(),
            NOBODY.to_string().into(),
        ];
        let after = vec![i64::MIN.into(), "".into()];
        let next = |row: &Row| Ok(vec![row.integer("decided_at")?.into(), row.text("decision_id")?.into()]);
        self.pages(&sql, (&fixed, after), next, async |_, tally, rows| {
            let failed = StoreError::database("read a report");
            for row in rows {
                let (action, policy) = grounds(row)?;
                tally.decision(&DecisionRow {
                    kind: kind(row)?,
                    decided_at: Timestamp(row.integer("decided_at").map_err(&failed)?),
                    verdict: verdict(row)?,
                    action,
                    policy,
                });
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn removals(&mut self) -> Result<(), StoreError> {
        let period = *self.tally.period();
        let until = "CASE WHEN a.confirmed_at IS NULL THEN $3 WHEN a.confirmed_at > w.out_at THEN a.confirmed_at ELSE w.out_at END";
        let answered = "n.outcome IN (1, 2) AND n.answered_at < $3";
        let flag = |condition: String| {
            format!(
                "CAST(CASE WHEN w.awaits = 1 AND EXISTS ({THE_SAME} AND {LATER} AND {condition}) THEN 1 ELSE 0 END AS BIGINT)"
            )
        };
        let sql = format!(
            "SELECT w.decision_id, w.awaits, w.out_at, d.verdict, a.content, a.platform_id, a.confirmed_at, COALESCE(a.confirmed_asked, a.settled_asked) AS asked, \
             COALESCE(a.confirmed_answered, a.settled_answered) AS answered, a.returned, \
             a.recommended_at, a.labelled, a.views_low, a.views_high, {MEMBER}, {} AS orders, {} AS perhaps_orders, {} AS counted, {} AS decided_again \
             FROM awaited_decisions w JOIN acknowledgements a ON a.decision_id = w.decision_id JOIN decisions d ON d.decision_id = w.decision_id \
             JOIN cases c ON c.case_id = w.case_id WHERE c.team = $1 AND w.out_at < $3 AND w.out_at >= $4 AND NOT {} \
             AND (w.out_at >= $2 OR a.confirmed_at IS NULL OR a.confirmed_at >= $2 OR a.recommended_at >= $2) \
             AND (w.out_at, w.decision_id, a.content, a.platform_id) > ($5, $6, $7, $8) \
             ORDER BY w.out_at, w.decision_id, a.content, a.platform_id",
            orders(until, answered, true),
            orders(until, answered, false),
            flag("b.confirmed_at >= v.out_at AND b.confirmed_at >= $2 AND b.confirmed_at < $3".to_owned()),
            flag("v.out_at >= $2 AND v.out_at < $3".to_owned()),
            is_heard_before(),
        );
        let fixed = [
            self.team(),
            period.begins().into(),
            period.ends().into(),
            (period.begins() - CONFIRMED_WITHIN).into(),
        ];
        let after = vec![i64::MIN.into(), "".into(), "".into(), 0.into()];
        self.pages(&sql, (&fixed, after), place, async |_, tally, rows| {
            for row in rows {
                tally.removal(&removal(row)?);
            }
            Ok(())
        })
        .await
    }
}

/// The place of a member on a platform among what is awaited.
fn place(row: &Row) -> Result<Vec<Value>, sqlx::Error> {
    Ok(vec![
        row.integer("out_at")?.into(),
        row.text("decision_id")?.into(),
        row.text("content")?.into(),
        row.integer("platform_id")?.into(),
    ])
}

/// What a case is about, by [`ABOUT`].
pub(crate) fn kind(row: &Row) -> Result<ContentKind, StoreError> {
    let failed = StoreError::database("read what a case is about");
    if row.integer("streams").map_err(&failed)? > 0 {
        return Ok(ContentKind::LiveStream);
    }
    let hash = row.text("hash").map_err(&failed)?;
    let hash = match hash.is_empty() {
        true => alert_json::from_json(&row.text("hash_in").map_err(&failed)?)?.hash,
        false => alert_json::hash_from_json(&hash)?,
    };
    Ok(ContentKind::of(hash.algorithm()))
}

/// What a member is, by [`MEMBER`].
pub(super) fn kind_of_member(row: &Row) -> Result<ContentKind, StoreError> {
    let failed = StoreError::database("read what a member is");
    if row.integer("streams").map_err(&failed)? > 0 {
        return Ok(ContentKind::LiveStream);
    }
    let hash = alert_json::hash_from_json(&row.text("hash").map_err(&failed)?)?;
    Ok(ContentKind::of(hash.algorithm()))
}

/// The clocks of a page of cases.
async fn clocks(transaction: &mut Transaction, rows: &[Row]) -> Result<BTreeMap<String, PlatformClocks>, StoreError> {
    let failed = StoreError::database("read the clocks of cases");
    let mut of_cases: BTreeMap<String, PlatformClocks> = BTreeMap::new();
    let ids = rows.iter().map(|row| row.text("case_id").map(Value::from));
    let ids: Vec<Value> = ids.collect::<Result<_, _>>().map_err(&failed)?;
    if ids.is_empty() {
        return Ok(of_cases);
    }
    let sql = format!(
        "SELECT case_id, platform_id, clock, at FROM case_clocks WHERE case_id IN ({})",
        values_from(1, ids.len())
    );
    for row in &transaction.fetch(&sql, &ids).await.map_err(&failed)? {
        let (platform, kind, at) = clock(row)?;
        let case = row.text("case_id").map_err(&failed)?;
        of_cases.entry(case).or_default().note(platform, kind, at);
    }
    Ok(of_cases)
}

fn case(row: &Row, clocks: PlatformClocks) -> Result<CaseRow, StoreError> {
    let failed = StoreError::database("read a case of a report");
    let time = |column| row.integer_if_any(column).map(|at| at.map(Timestamp)).map_err(&failed);
    let merged_at = time("merged_at")?.filter(|_| row.text_if_any("merged_into").is_ok_and(|into| into.is_some()));
    let resting = match merged_at {
        None => row.integer("resting").map_err(&failed)?,
        Some(_) => row.integer("merged_resting").map_err(&failed)?,
    };
    let verdict = match row.integer_if_any("verdict").map_err(&failed)? {
        None => None,
        Some(number) => {
            let known = u8::try_from(number).ok().and_then(Verdict::from_number);
            Some(known.ok_or(StoreError::Malformed { field: "verdict" })?)
        }
    };
    let last_alert_at = time_if_any(row, "last_alert_at")?;
    Ok(CaseRow {
        kind: kind(row)?,
        opened_at: Timestamp(row.integer("opened_at").map_err(&failed)?),
        first_seen: time_if_any(row, "first_seen")?,
        alert_at: time_if_any(row, "first_alert_at")?,
        claimed_at: time("first_claimed_at")?,
        decided_at: time("first_decided_at")?,
        verdict,
        noticed_at: time("noticed_at")?,
        merged_at,
        waiting_since: Timestamp(row.integer("waiting_since").map_err(&failed)?),
        closed_by: last_alert_at.filter(|_| resting == Resting::Closed as i64),
        is_decided: resting == Resting::Decided as i64,
        clocks,
    })
}

fn removal(row: &Row) -> Result<RemovalRow, StoreError> {
    let failed = StoreError::database("read what platforms confirmed");
    let number_if_any = |column| row.integer_if_any(column).map_err(&failed);
    let is_any = |column| Ok::<_, StoreError>(row.integer(column).map_err(&failed)? > 0);
    let out_at = Timestamp(row.integer("out_at").map_err(&failed)?);
    let awaits = row.integer("awaits").map_err(&failed)?;
    let settled = number_if_any("asked")?.zip(number_if_any("answered")?);
    let views = number_if_any("views_low")?.zip(number_if_any("views_high")?);
    Ok(RemovalRow {
        platform: PlatformId(number(row, "platform_id")?),
        kind: kind_of_member(row)?,
        awaits: Awaits::from_number(awaits).ok_or(StoreError::Malformed { field: "awaits" })?,
        verdict: verdict(row)?,
        out_at,
        ordered: match (is_any("orders")?, is_any("perhaps_orders")?) {
            (true, _) => Ordered::Yes,
            (false, true) => Ordered::Perhaps,
            (false, false) => Ordered::No,
        },
        is_counted: is_any("counted")?,
        is_decided_again: is_any("decided_again")?,
        // What was removed before the decision was out is confirmed when it is.
        confirmed_at: number_if_any("confirmed_at")?.map(|at| Timestamp(at).max(out_at)),
        settled: settled.map(|(asked, answered)| (asked as u64, answered as u64)),
        labelled: number_if_any("labelled")?.map(|labelled| labelled > 0),
        views: views.map(|(low, high)| (low as u64, high as u64)),
        returned: row.integer("returned").map_err(&failed)? as u64,
        recommended_at: number_if_any("recommended_at")?.map(Timestamp),
    })
}

/// What a decision recommends, of its grounds, and the policy.
pub(super) fn grounds(row: &Row) -> Result<(Option<RecommendedAction>, String), StoreError> {
    let text = row.text("grounds").map_err(StoreError::database("read a decision"))?;
    let grounds = grounds_from_json(&text)?;
    Ok((grounds.action, grounds.policy))
}
