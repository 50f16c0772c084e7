//! How what platforms confirm stands in the store.

use std::collections::BTreeMap;

use tocsin_casework::Acknowledgement;
use tocsin_model::{ContentId, PlatformId, Timestamp};

use super::acknowledgement::MemberAcknowledgement;
use crate::StoreError;
use crate::alert_json::{hash_from_json, hash_to_json};
use crate::database::{Row, Transaction, Value};

pub(super) const COLUMNS: &str = "decision_id, content, platform_id, hash, asked, answered, confirmed_at, settled_asked, settled_answered, returned, as_of, \
     recommended_at, labelled, views_low, views_high, confirmed_asked, confirmed_answered";

/// How many members and platforms have something to confirm, and how many of them did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcknowledgementCounts {
    /// All.
    pub all: u64,
    /// Those that did not.
    pub unconfirmed: u64,
    /// How many removals, or restored copies, were heard of those that did.
    pub answered: u64,
}

/// What all members confirm on one platform.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OnPlatform {
    pub counts: AcknowledgementCounts,
    pub confirmed_at: Option<Timestamp>,
}

pub(super) const ON_PLATFORMS: &str = "SELECT platform_id, count(*) AS members, count(CASE WHEN confirmed_at IS NULL THEN 1 END) AS unconfirmed, \
     CAST(COALESCE(sum(CASE WHEN confirmed_at IS NOT NULL THEN answered END), 0) AS BIGINT) AS answered, max(confirmed_at) AS confirmed_at \
     FROM acknowledgements WHERE decision_id = $1 GROUP BY platform_id";

pub(super) fn on_platforms(rows: &[Row]) -> Result<BTreeMap<PlatformId, OnPlatform>, StoreError> {
    let failed = StoreError::database("count what platforms confirm");
    let platforms = rows.iter().map(|row| {
        let number = |column| row.integer(column).map(|number| number as u64);
        let on = OnPlatform {
            counts: AcknowledgementCounts {
                all: number("members").map_err(&failed)?,
                unconfirmed: number("unconfirmed").map_err(&failed)?,
                answered: number("answered").map_err(&failed)?,
            },
            confirmed_at: row.integer_if_any("confirmed_at").map_err(&failed)?.map(Timestamp),
        };
        Ok((platform(row)?, on))
    });
    platforms.collect()
}

pub(super) fn sum(platforms: &BTreeMap<PlatformId, OnPlatform>) -> AcknowledgementCounts {
    let mut sum = AcknowledgementCounts::default();
    for on in platforms.values() {
        sum.all += on.counts.all;
        sum.unconfirmed += on.counts.unconfirmed;
        sum.answered += on.counts.answered;
    }
    sum
}

pub(super) async fn on_platforms_in(
    transaction: &mut Transaction,
    decision: &str,
) -> Result<BTreeMap<PlatformId, OnPlatform>, StoreError> {
    let rows = transaction.fetch(ON_PLATFORMS, &[decision.into()]).await;
    on_platforms(&rows.map_err(StoreError::database("count what platforms confirm"))?)
}

/// How many have something to confirm of a decision.
pub(super) async fn count_in(
    transaction: &mut Transaction,
    decision: &str,
) -> Result<AcknowledgementCounts, StoreError> {
    Ok(sum(&on_platforms_in(transaction, decision).await?))
}

/// The first that are not confirmed of a decision.
pub(super) async fn unconfirmed_in(
    transaction: &mut Transaction,
    decision: &str,
    limit: usize,
) -> Result<Vec<MemberAcknowledgement>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM acknowledgements WHERE decision_id = $1 AND confirmed_at IS NULL ORDER BY content, platform_id LIMIT $2"
    );
    let rows = transaction.fetch(&sql, &[decision.into(), (limit as i64).into()]).await;
    let rows = rows.map_err(StoreError::database("read what is not confirmed"))?;
    rows.iter().map(member).collect()
}

pub(super) async fn write(
    transaction: &mut Transaction,
    decision: &str,
    of: &MemberAcknowledgement,
) -> Result<(), StoreError> {
    let acknowledgement = &of.acknowledgement;
    let number = |count: u64| Value::from(i64::try_from(count).unwrap_or(i64::MAX));
    let number_if_any =
        |count: Option<u64>| Value::Integer(count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)));
    let values = [
        decision.into(),
        of.content.to_string().into(),
        i64::from(of.platform.0).into(),
        hash_to_json(&of.hash).into(),
        number(acknowledgement.asked),
        number(acknowledgement.answered),
        Value::Integer(acknowledgement.confirmed_at.map(|at| at.0)),
        number_if_any(acknowledgement.settled.map(|(asked, _)| asked)),
        number_if_any(acknowledgement.settled.map(|(_, answered)| answered)),
        number(acknowledgement.returned),
        acknowledgement.as_of.into(),
        Value::Integer(acknowledgement.labelled.map(i64::from)),
        number_if_any(acknowledgement.views.map(|(low, _)| low)),
        number_if_any(acknowledgement.views.map(|(_, high)| high)),
        number_if_any(acknowledgement.confirmed.map(|(asked, _)| asked)),
        number_if_any(acknowledgement.confirmed.map(|(_, answered)| answered)),
    ];
    let sql = "INSERT INTO acknowledgements (decision_id, content, platform_id, hash, asked, answered, confirmed_at, settled_asked, \
               settled_answered, returned, as_of, labelled, views_low, views_high, confirmed_asked, confirmed_answered) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
               ON CONFLICT (decision_id, content, platform_id) DO UPDATE SET asked = excluded.asked, answered = excluded.answered, \
               confirmed_at = excluded.confirmed_at, settled_asked = excluded.settled_asked, settled_answered = excluded.settled_answered, \
               returned = excluded.returned, as_of = excluded.as_of, labelled = excluded.labelled, views_low = excluded.views_low, views_high = excluded.views_high, \
               confirmed_asked = excluded.confirmed_asked, confirmed_answered = excluded.confirmed_answered";
    let written = transaction.execute(sql, &values).await;
    written
        .map(drop)
        .map_err(StoreError::database("write what a platform confirms"))
}

pub(super) fn member(row: &Row) -> Result<MemberAcknowledgement, StoreError> {
    let failed = StoreError::database("read what a platform confirms");
    let malformed = |field| StoreError::Malformed { field };
    let number = |column| row.integer(column).map(|number| number as u64);
    let number_if_any = |column| row.integer_if_any(column);
    let both = |low, high| {
        let both = (
            number_if_any(low).map_err(&failed)?,
            number_if_any(high).map_err(&failed)?,
        );
        let both = both.0.zip(both.1);
        Ok::<_, StoreError>(both.map(|(low, high)| (low as u64, high as u64)))
    };
    let content = row.text("content").map_err(&failed)?;
    Ok(MemberAcknowledgement {
        content: ContentId::parse(&content).ok_or(malformed("content"))?,
        hash: hash_from_json(&row.text("hash").map_err(&failed)?)?,
        platform: platform(row)?,
        acknowledgement: Acknowledgement {
            asked: number("asked").map_err(&failed)?,
            answered: number("answered").map_err(&failed)?,
            confirmed_at: number_if_any("confirmed_at").map_err(&failed)?.map(Timestamp),
            settled: both("settled_asked", "settled_answered")?,
            confirmed: both("confirmed_asked", "confirmed_answered")?,
            labelled: number_if_any("labelled").map_err(&failed)?.map(|labelled| labelled > 0),
            returned: number("returned").map_err(&failed)?,
            views: both("views_low", "views_high")?,
            as_of: Timestamp(row.integer("as_of").map_err(&failed)?),
        },
        recommended_at: number_if_any("recommended_at").map_err(&failed)?.map(Timestamp),
    })
}

fn platform(row: &Row) -> Result<PlatformId, StoreError> {
    let number = row
        .integer("platform_id")
        .map_err(StoreError::database("read what a platform confirms"))?;
    let number = u16::try_from(number).map_err(|_| StoreError::Malformed { field: "platform_id" })?;
    Ok(PlatformId(number))
}
