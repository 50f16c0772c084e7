//! What a round has come to: cases, decisions and deliveries, each held by its id to what was sent.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tocsin_log::{Record, SharedLog};
use tocsin_model::{Alert, ContentId, Scope};
use tocsin_tests::records::records;
use tocsin_tests::site::{ALPHA, BETA};
use tocsin_wire::{alert, decision, topics};

use super::desk::Desk;
use super::outside::Outside;
use super::{Contents, Desks, FAMILIES, TAKEN_OUT, id};
use crate::world::Outcome;

/// What is found wrong, and what is counted.
struct Found {
    wrong: Vec<String>,
    figures: BTreeMap<&'static str, f64>,
}

impl Found {
    fn is(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(wrong());
        }
    }

    /// That both hold the same ids.
    fn same(&mut self, what: &str, found: &BTreeSet<String>, wanted: &BTreeSet<String>) {
        let missing: Vec<_> = wanted.difference(found).take(3).collect();
        let further: Vec<_> = found.difference(wanted).take(3).collect();
        self.is(missing.is_empty() && further.is_empty(), || {
            format!("{what}: missing {missing:?}, and nobody sent {further:?}")
        });
    }
}

fn text(row: &PgRow, column: usize) -> Result<String> {
    row.try_get(column).context("a column is text")
}

/// Waits until nothing is on its way any more, and compares.
///
/// # Errors
/// It cannot be looked at, or something stays on its way.
pub async fn judge(
    desk: &mut Desk<'_>,
    (desks, outside): (&Desks, &Outside),
    contents: &Contents,
    log: &SharedLog,
) -> Result<Outcome> {
    settled(desk, log).await?;
    members_told(desk, desks, contents).await?;
    settled(desk, log).await?;
    let mut found = Found {
        wrong: Vec::new(),
        figures: BTreeMap::new(),
    };
    let alerts = alerts(log)?;
    cases(&mut found, desk, (desks, contents), &alerts).await?;
    decisions(&mut found, desk, desks, log).await?;
    deliveries(&mut found, desk, (desks, outside), (&alerts, log)).await?;
    members(&mut found, outside)?;
    for (figure, value) in [
        ("requests_sent_again", desk.unanswered as f64),
        ("alerts", alerts.len() as f64),
        ("violations", found.wrong.len() as f64),
    ] {
        found.figures.insert(figure, value);
    }
    Ok(Outcome {
        violations: found.wrong,
        figures: found.figures,
    })
}

/// Waits until all alerts are applied, and the outbox, the fan-out, the watch list and all deliveries are done.
async fn settled(desk: &mut Desk<'_>, log: &SharedLog) -> Result<()> {
    let mut left = String::new();
    let settled = desk
        .until("nothing is on its way", async |desk| {
            let applied: BTreeSet<String> = ids(desk, "SELECT alert_id FROM applied_alerts").await?;
            let waiting = alerts(log)?.keys().filter(|id| !applied.contains(*id)).count() as i64;
            let mut counts = vec![("alerts", waiting)];
            for (what, sql) in ON_ITS_WAY {
                counts.push((what, desk.count(sql, 0).await?));
            }
            counts.retain(|(_, count)| *count > 0);
            left = format!("{counts:?}");
            Ok(counts.is_empty())
        })
        .await;
    settled.with_context(|| format!("left over: {left}"))
}

const ON_ITS_WAY: [(&str, &str); 5] = [
    ("decisions", "SELECT count(*) FROM decision_outbox"),
    ("decisions to tell members of", "SELECT count(*) FROM decision_fans"),
    ("deliveries", "SELECT count(*) FROM deliveries WHERE state = 1"),
    ("calibrations", "SELECT count(*) FROM calibrations WHERE published = 0"),
    ("changes of the watch list", "SELECT count(*) FROM watch_pending"),
];

async fn ids(desk: &Desk<'_>, sql: &str) -> Result<BTreeSet<String>> {
    desk.rows(sql).await?.iter().map(|row| text(row, 0)).collect()
}

/// Alerts on the log, by id.
fn alerts(log: &SharedLog) -> Result<BTreeMap<String, Alert>> {
    let mut alerts = BTreeMap::new();
    for record in records(log, topics::ALERTS)? {
        let value = record.value.context("an alert has a value")?;
        let alert = alert::decode(&value).context("an alert can be read")?.alert;
        alerts.insert(alert.id.to_string(), alert);
    }
    Ok(alerts)
}

/// Every team has one case of each content that rang and of nothing else, and each alert was applied once.
async fn cases(
    found: &mut Found,
    desk: &Desk<'_>,
    (desks, contents): (&Desks, &Contents),
    alerts: &BTreeMap<String, Alert>,
) -> Result<()> {
    let applied = ids(desk, "SELECT alert_id FROM applied_alerts").await?;
    found.same("alerts applied", &applied, &alerts.keys().cloned().collect());
    let rows = desk.rows("SELECT team || ' ' || family FROM cases").await?;
    let mut cases = BTreeSet::new();
    for row in &rows {
        let case = text(row, 0)?;
        found.is(cases.insert(case.clone()), || format!("cases: {case} twice"));
    }
    let rung = contents.ringing().into_iter().map(|url| id(url).to_string());
    let wanted = rung.flat_map(|family| {
        let numbers = desks.teams.values().map(|team| team.to_number());
        numbers.map(|team| format!("{team} {family}")).collect::<Vec<_>>()
    });
    let wanted: BTreeSet<String> = wanted.collect();
    found.same("cases", &cases, &wanted);
    let of_alerts: BTreeSet<String> = alerts.values().map(|alert| alert.family.to_string()).collect();
    let rung: BTreeSet<String> = contents.ringing().into_iter().map(|url| id(url).to_string()).collect();
    found.same("families of alerts", &of_alerts, &rung);
    let escalations = "SELECT count(*) FROM case_history WHERE kind = 'notice_overdue'";
    let count = desk.count(escalations, 0).await?;
    found.is(count == 1, || format!("notices: the order was escalated {count} times"));
    found.figures.insert("cases", cases.len() as f64);
    Ok(())
}

/// What was acknowledged stands once, what stands was sent, and all of it is on the log.
async fn decisions(found: &mut Found, desk: &Desk<'_>, desks: &Desks, log: &SharedLog) -> Result<()> {
    let rows = desk
        .rows("SELECT d.decision_id, d.case_id, d.rationale, c.team FROM decisions d JOIN cases c ON c.case_id = d.case_id")
        .await?;
    let mut standing = BTreeSet::new();
    let mut by_rationale: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut teams: BTreeMap<String, i64> = BTreeMap::new();
    for row in &rows {
        let (decision, case, rationale) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        teams.insert(decision.clone(), row.try_get(3)?);
        standing.insert(decision.clone());
        by_rationale.entry(rationale).or_default().push((decision, case));
    }
    for (rationale, made) in &by_rationale {
        found.is(made.len() == 1, || {
            format!("decisions: {rationale:?} was made into {made:?}")
        });
    }
    for decided in &desk.decided {
        let stands = by_rationale.get(&decided.rationale).and_then(|made| made.first());
        found.is(
            stands == Some(&(decided.decision.clone(), decided.case.clone())),
            || format!("decisions: {decided:?} was acknowledged, and {stands:?} stands"),
        );
    }
    let acknowledged: BTreeSet<&String> = desk.decided.iter().map(|decided| &decided.rationale).collect();
    let of_ozone = by_rationale.iter().filter(|(rationale, made)| {
        rationale.starts_with("taken down: ")
            && made
                .iter()
                .all(|(decision, _)| teams.get(decision) == Some(&desks.number(BETA)))
    });
    found.is(of_ozone.count() == FAMILIES, || {
        "decisions: not each of the Ozone's is beta's, once".to_owned()
    });
    // The rest is the answer to the appeal, which is a decision for the family.
    let others = by_rationale
        .keys()
        .filter(|rationale| !acknowledged.contains(rationale) && !rationale.starts_with("taken down: "));
    let others: Vec<&String> = others.collect();
    found.is(others.len() == 1, || {
        format!("decisions: {others:?} were made beside what was acknowledged")
    });
    let noted = ids(
        desk,
        "SELECT event::text FROM ozone_events WHERE outcome IN ('decided', 'stands')",
    )
    .await?;
    found.is(noted.len() >= FAMILIES, || {
        format!("ozone: {noted:?} are noted as taken")
    });

    let mut published: BTreeMap<String, Record> = BTreeMap::new();
    let mut repeated = 0;
    for record in records(log, topics::DECISIONS)? {
        let value = record.value.as_ref().context("a decision has a value")?;
        let told = decision::decode(value).context("a decision can be read")?;
        if let Some(before) = published.insert(format!("{:032x}", told.id.0), record.clone()) {
            repeated += 1;
            found.is(before.value == record.value, || {
                format!("decisions: the log tells of {:032x} in two ways", told.id.0)
            });
        }
    }
    found.same("decisions on the log", &published.keys().cloned().collect(), &standing);
    let open = "SELECT count(*) FROM cases WHERE decision_id IS NULL AND merged_into IS NULL";
    let open = desk.count(open, 0).await?;
    found.is(open == 0, || format!("cases: {open} were never decided"));
    found.figures.insert("decisions", standing.len() as f64);
    found.figures.insert("decisions_published_again", f64::from(repeated));
    Ok(())
}

/// What an endpoint was given: the events of each delivery.
type Given = BTreeMap<String, BTreeSet<(String, Vec<u8>)>>;

/// Each event is one delivery of each endpoint, and came there: again under the same id, or not at all.
async fn deliveries(
    found: &mut Found,
    desk: &Desk<'_>,
    (desks, outside): (&Desks, &Outside),
    (alerts, log): (&BTreeMap<String, Alert>, &SharedLog),
) -> Result<()> {
    let rows = desk
        .rows("SELECT d.endpoint, d.event_id, d.delivery_id, d.state, e.kind FROM deliveries d JOIN delivery_events e ON e.event_id = d.event_id")
        .await?;
    let mut kept: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for row in &rows {
        let (endpoint, event, delivery) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        let state: i64 = row.try_get(3)?;
        found.is(state == 2, || {
            format!("deliveries: {delivery} to {endpoint} is in state {state}")
        });
        let before = kept
            .entry(endpoint.clone())
            .or_default()
            .insert(event.clone(), delivery);
        found.is(before.is_none(), || {
            format!("deliveries: {event} is delivered twice to {endpoint}")
        });
    }
    let (mut came_again, mut came) = (0, 0);
    for endpoint in ["coordinators", ALPHA] {
        let mut given: Given = BTreeMap::new();
        for request in outside.came(&format!("/{endpoint}")) {
            came += 1;
            let events = given.entry(request.delivery).or_default();
            came_again += usize::from(!events.is_empty());
            events.insert((request.event, request.body.to_vec()));
        }
        let of = kept.remove(endpoint).unwrap_or_default();
        let wanted: BTreeSet<String> = of.values().cloned().collect();
        found.same(
            &format!("deliveries to {endpoint}"),
            &given.keys().cloned().collect(),
            &wanted,
        );
        for (delivery, events) in &given {
            let is_one = events.len() == 1;
            let event = events.first().map(|(event, _)| event.clone()).unwrap_or_default();
            found.is(is_one && of.get(&event) == Some(delivery), || {
                format!(
                    "deliveries: {delivery} came to {endpoint} as {} different events",
                    events.len()
                )
            });
        }
        expected(found, desk, (desks, endpoint), (&of, alerts)).await?;
    }
    let topic = topics::deliveries_name(&ALPHA.parse()?);
    let mut on_topic: BTreeMap<String, Record> = BTreeMap::new();
    for record in records(log, &topic)? {
        came += 1;
        let header = record.headers.iter().find(|header| header.name == "ce_id");
        let event = String::from_utf8_lossy(&header.context("an event has an id")?.value).into_owned();
        if let Some(before) = on_topic.insert(event.clone(), record.clone()) {
            came_again += 1;
            found.is(before.value == record.value, || {
                format!("deliveries: {topic} tells of {event} in two ways")
            });
        }
    }
    let of = kept.remove("alpha-topic").unwrap_or_default();
    found.same(
        &topic,
        &on_topic.keys().cloned().collect(),
        &of.keys().cloned().collect(),
    );
    expected(found, desk, (desks, ALPHA), (&of, alerts)).await?;
    found.figures.insert("deliveries", came as f64);
    found.figures.insert("deliveries_came_again", came_again as f64);
    Ok(())
}

/// Every alert that a team may see and every decision of its own is among the events of an endpoint of it.
async fn expected(
    found: &mut Found,
    desk: &Desk<'_>,
    (desks, team): (&Desks, &str),
    (of, alerts): (&BTreeMap<String, String>, &BTreeMap<String, Alert>),
) -> Result<()> {
    let is_seen = |scope: Scope| scope == Scope::All || scope == desks.teams[team].scope();
    let seen = alerts.iter().filter(|(_, alert)| is_seen(alert.scope));
    let missing: Vec<&String> = seen.map(|(id, _)| id).filter(|id| !of.contains_key(*id)).collect();
    found.is(missing.is_empty(), || {
        format!("deliveries: {team} was not told of the alerts {missing:?}")
    });
    let hidden = alerts.iter().filter(|(_, alert)| !is_seen(alert.scope));
    let leaked = hidden.filter(|(id, _)| of.contains_key(*id)).count();
    found.is(leaked == 0, || {
        format!("deliveries: {team} was told of {leaked} alerts of others")
    });
    let sql = format!(
        "SELECT d.decision_id FROM decisions d JOIN cases c ON c.case_id = d.case_id WHERE c.team = {}",
        desks.number(team)
    );
    let decided = ids(desk, &sql).await?;
    let missing: Vec<&String> = decided.iter().filter(|id| !of.contains_key(*id)).collect();
    found.is(missing.is_empty(), || {
        format!("deliveries: {team} was not told of the decisions {missing:?}")
    });
    Ok(())
}

/// No member was told of one decision by two events.
fn members(found: &mut Found, outside: &Outside) -> Result<()> {
    let mut told: BTreeMap<(&str, String, String), String> = BTreeMap::new();
    for endpoint in ["coordinators", ALPHA] {
        let came = outside.came(&format!("/{endpoint}"));
        for request in came.iter().filter(|came| came.kind == "tocsin.decision.members") {
            let document: Value = serde_json::from_slice(&request.body).context("an event is JSON")?;
            // What was told again because copies came again is no doubling.
            if document["automated"] == Value::Bool(true) {
                continue;
            }
            let members = document["members"].as_array().context("members are a list")?;
            for member in members {
                let of = (
                    endpoint,
                    document["decision"]["id"].to_string(),
                    member["content"].to_string(),
                );
                let before = told.insert(of.clone(), request.event.clone());
                found.is(before.is_none_or(|before| before == request.event), || {
                    format!("members: {of:?} was told by two events")
                });
            }
        }
    }
    found.is(!told.is_empty(), || "members: nobody was told of any".to_owned());
    found.figures.insert("members_told", told.len() as f64);
    Ok(())
}

/// Waits until every member of each family was told of what stands, by each team that decided.
async fn members_told(desk: &mut Desk<'_>, desks: &Desks, contents: &Contents) -> Result<()> {
    let mut untold = String::new();
    let told = desk
        .until("every member is told of what stands", async |desk| {
            untold.clear();
            for (name, team) in &desks.teams {
                for family in &contents.families {
                    let stayed = family.iter().enumerate().filter(|(place, _)| *place != TAKEN_OUT);
                    let members: Vec<ContentId> = stayed.map(|(_, url)| id(url)).collect();
                    let members: Vec<String> = members.iter().map(|id| format!("'{id}'")).collect();
                    let sql = format!(
                        "SELECT count(*) FROM member_decisions m JOIN cases c ON c.decision_id = m.decision_id AND c.merged_into IS NULL \
                         WHERE m.team = $1 AND c.team = $1 AND c.family IN ({0}) AND m.content IN ({0})",
                        members.join(", ")
                    );
                    let count = desk.count(&sql, team.to_number()).await?;
                    if count != members.len() as i64 {
                        untold += &format!(" {name}: {count} of {}", members.len());
                    }
                }
            }
            Ok(untold.is_empty())
        })
        .await;
    told.with_context(|| format!("told{untold}"))
}
