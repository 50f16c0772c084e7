use std::fmt;
use std::str::FromStr;

use tocsin_casework::Team;
use tocsin_model::{ContentId, DecisionId, IdError, PlatformId, Timestamp, parse_hex_id};
use tocsin_report::Period;
use tocsin_report::statement::{Noticed, RestrictionRow};

use super::casework::{CONFIRMED_WITHIN, MEMBER, grounds, is_heard_before, is_told_twice, kind_of_member, orders};
use crate::cases::verdict;
use crate::database::{Row, Value};
use crate::party::number;
use crate::{Store, StoreError};

/// The place of a content on a platform among those whose removal was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestrictionCursor {
    out_at: Timestamp,
    decision: DecisionId,
    content: ContentId,
    platform: PlatformId,
}

/// Contents whose removal a platform confirmed, in an order that stays.
#[derive(Clone, Debug)]
pub struct RestrictionPage {
    /// What was removed.
    pub rows: Vec<RestrictionRow>,
    /// Where to go on, if there is more.
    pub next: Option<RestrictionCursor>,
}

impl Store {
    /// The contents, each on each platform of the party, whose removal was confirmed within these days, after `after`, at most `limit`. What was removed before its decision was
    /// out counts as removed then.
    ///
    /// # Errors
    /// The database failed.
    pub async fn restrictions(
        &self,
        team: Team,
        period: Period,
        (after, limit): (Option<RestrictionCursor>, u32),
    ) -> Result<RestrictionPage, StoreError> {
        let failed = StoreError::database("read what was removed");
        let notices = |kind| {
            format!(
                "(SELECT count(*) FROM notices n WHERE n.case_id = c.case_id AND n.kind = {kind} AND n.received_at <= d.decided_at)"
            )
        };
        let report = "(SELECT count(*) FROM case_clocks k WHERE k.case_id = c.case_id AND k.platform_id = a.platform_id AND k.clock = 2 AND k.at <= d.decided_at)";
        // Of an order that is not answered the removal may be what carries it out.
        let answered = "(n.outcome IS NULL OR n.outcome IN (1, 2))";
        let removed_at = "CASE WHEN a.confirmed_at > w.out_at THEN a.confirmed_at ELSE w.out_at END";
        let sql = format!(
            "SELECT w.decision_id, w.out_at, d.verdict, d.grounds, d.decided_at, a.content, a.platform_id, {MEMBER}, a.recommended_at, c.family, \
             COALESCE(a.confirmed_answered, a.settled_answered, a.answered) AS removals, {removed_at} AS removed_at, {} AS orders, {} AS perhaps_orders, {} AS flaggers, {} AS referrals, {report} AS reports, \
             CAST(CASE WHEN c.first_alert_at <= d.decided_at THEN 1 ELSE 0 END AS BIGINT) AS rang, \
             (SELECT k.at FROM case_clocks k WHERE k.case_id = c.case_id AND k.platform_id = a.platform_id AND k.clock = 1) AS posted_at \
             FROM awaited_decisions w JOIN acknowledgements a ON a.decision_id = w.decision_id JOIN decisions d ON d.decision_id = w.decision_id \
             JOIN cases c ON c.case_id = w.case_id JOIN platforms p ON p.platform_id = a.platform_id AND p.party_id = c.team - 2 \
             WHERE c.team = $1 AND w.awaits = 1 AND w.out_at >= $4 AND w.out_at < $3 AND {removed_at} >= $2 AND {removed_at} < $3 AND a.confirmed_at IS NOT NULL \
             AND NOT {} AND NOT {} \
             AND (w.out_at, w.decision_id, a.content, a.platform_id) > ($5, $6, $7, $8) \
             ORDER BY w.out_at, w.decision_id, a.content, a.platform_id LIMIT $9",
            orders(removed_at, answered, true),
            orders(removed_at, answered, false),
            notices(2),
            notices(3),
            is_heard_before(),
            is_told_twice(),
        );
        let after: Vec<Value> = match after {
            None => vec![i64::MIN.into(), "".into(), "".into(), 0.into()],
            Some(after) => vec![
                after.out_at.into(),
                format!("{:032x}", after.decision.0).into(),
                after.content.to_string().into(),
                i64::from(after.platform.0).into(),
            ],
        };
        let mut values: Vec<Value> = vec![
            team.to_number().into(),
            period.begins().into(),
            period.ends().into(),
            (period.begins() - CONFIRMED_WITHIN).into(),
        ];
        values.extend(after);
        values.push((i64::from(limit) + 1).into());
        let rows = self.database().fetch(&sql, &values).await.map_err(&failed)?;
        let limit = limit as usize;
        let is_more = rows.len() > limit;
        let shown = rows.get(..limit).unwrap_or(&rows);
        let next = match shown.last() {
            Some(last) if is_more => Some(cursor(last)?),
            _ => None,
        };
        Ok(RestrictionPage {
            rows: shown.iter().map(restriction).collect::<Result<_, _>>()?,
            next,
        })
    }
}

fn cursor(row: &Row) -> Result<RestrictionCursor, StoreError> {
    let failed = StoreError::database("read what was removed");
    Ok(RestrictionCursor {
        out_at: Timestamp(row.integer("out_at").map_err(&failed)?),
        decision: crate::cases::decision_id(&row.text("decision_id").map_err(&failed)?)?,
        content: content(row, "content")?,
        platform: PlatformId(number(row, "platform_id")?),
    })
}

fn content(row: &Row, field: &'static str) -> Result<ContentId, StoreError> {
    let text = row.text(field).map_err(StoreError::database("read what was removed"))?;
    let id = parse_hex_id(&text).map_err(|_| StoreError::Malformed { field })?;
    Ok(ContentId(id))
}

fn restriction(row: &Row) -> Result<RestrictionRow, StoreError> {
    let failed = StoreError::database("read what was removed");
    let number_of = |column| row.integer(column).map_err(&failed);
    let is_any = |column| Ok::<_, StoreError>(number_of(column)? > 0);
    let (action, policy) = grounds(row)?;
    Ok(RestrictionRow {
        content: content(row, "content")?,
        kind: kind_of_member(row)?,
        platform: PlatformId(number(row, "platform_id")?),
        decided_at: Timestamp(number_of("decided_at")?),
        verdict: verdict(row)?,
        action,
        policy,
        posted_at: row.integer_if_any("posted_at").map_err(&failed)?.map(Timestamp),
        removed_at: Timestamp(number_of("removed_at")?),
        removals: number_of("removals")? as u64,
        rang: is_any("rang")?,
        is_founder: content(row, "content")? == content(row, "family")?,
        recommended_again: row.integer_if_any("recommended_at").map_err(&failed)?.is_some(),
        noticed: Noticed {
            order: is_any("orders")?,
            perhaps_order: is_any("perhaps_orders")?,
            trusted_flagger: is_any("flaggers")?,
            referral: is_any("referrals")?,
            report: is_any("reports")?,
        },
    })
}

/// The parts of the place, with hyphens between.
impl fmt::Display for RestrictionCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (decision, content) = (self.decision.0, self.content.0);
        write!(
            f,
            "{:016x}-{decision:032x}-{content:032x}-{:04x}",
            self.out_at.0, self.platform.0
        )
    }
}

impl FromStr for RestrictionCursor {
    type Err = IdError;
    fn from_str(text: &str) -> Result<RestrictionCursor, IdError> {
        let parts: Vec<&str> = text.splitn(5, '-').collect();
        let [out_at, decision, content, platform] = parts.as_slice() else {
            return Err(IdError);
        };
        let is_hex = |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex(out_at, 16) || !is_hex(platform, 4) {
            return Err(IdError);
        }
        let out_at = u64::from_str_radix(out_at, 16).map_err(|_| IdError)?;
        Ok(RestrictionCursor {
            out_at: Timestamp(out_at as i64),
            decision: DecisionId(parse_hex_id(decision)?),
            content: ContentId(parse_hex_id(content)?),
            platform: PlatformId(u16::from_str_radix(platform, 16).map_err(|_| IdError)?),
        })
    }
}
