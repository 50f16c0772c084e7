//! What a round has come to: cases, decisions and deliveries, each held by its id to what was sent.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tocsin_log::{Record, SharedLog};
use tocsin_model::{Alert, AlertLevel, Scope};
use tocsin_tests::records::records;
use tocsin_tests::site::{ALPHA, BETA};
use tocsin_wire::{SightingsRecord, alert, decision, topics};

use super::desk::Desk;
use super::outside::Outside;
use super::{Contents, Desks, FAMILIES, TAKEN_OUT, id};
use crate::world::Outcome;

impl Outcome {
    fn is(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(wrong());
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
    let mut found = Outcome::default();
    let alerts = alerts(log)?;
    cases(&mut found, desk, (desks, contents), &alerts).await?;
    decisions(&mut found, desk, desks, log).await?;
    deliveries(&mut found, desk, (desks, outside), (&alerts, log)).await?;
    members(&mut found, desk, (desks, outside), contents).await?;
    weighings(&mut found, log)?;
    for (figure, value) in [
        ("requests_sent_again", desk.unanswered as f64),
        ("alerts", alerts.len() as f64),
    ] {
        found.figures.insert(figure, value);
    }
    found.add(Vec::new());
    Ok(found)
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

const ON_ITS_WAY: [(&str, &str); 6] = [
    (
        "weighings",
        "SELECT count(*) FROM overturned_families WHERE published = 0",
    ),
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
    found: &mut Outcome,
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
    let rung: BTreeSet<String> = contents.ringing().into_iter().map(|url| id(url).to_string()).collect();
    let wanted = rung.iter().flat_map(|family| {
        let numbers = desks.teams.values().map(|team| team.to_number());
        numbers.map(|team| format!("{team} {family}")).collect::<Vec<_>>()
    });
    let wanted: BTreeSet<String> = wanted.collect();
    found.same("cases", &cases, &wanted);
    let of_alerts: BTreeSet<String> = alerts.values().map(|alert| alert.family.to_string()).collect();
    found.same("families of alerts", &of_alerts, &rung);
    let escalations = "SELECT count(*) FROM case_history WHERE kind = 'notice_overdue'";
    let count = desk.count(escalations, 0).await?;
    found.is(count == 1, || format!("notices: the order was escalated {count} times"));
    found.figures.insert("cases", cases.len() as f64);
    Ok(())
}

/// What was acknowledged stands once, what stands was sent, and all of it is on the log.
async fn decisions(found: &mut Outcome, desk: &Desk<'_>, desks: &Desks, log: &SharedLog) -> Result<()> {
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
    found: &mut Outcome,
    desk: &Desk<'_>,
    (desks, outside): (&Desks, &Outside),
    (alerts, log): (&BTreeMap<String, Alert>, &SharedLog),
) -> Result<()> {
    let rows = desk
        .rows("SELECT endpoint, event_id, delivery_id, state FROM deliveries")
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
    let (of, told) = (kept.remove("beta-ozone").unwrap_or_default(), outside.told());
    let beta = desks.teams[BETA].scope();
    // That an episode goes on, as in a round that takes its time, is no event of an Ozone.
    let is_told = |alert: &Alert| [Scope::All, beta].contains(&alert.scope) && alert.level != AlertLevel::Sustained;
    for (id, alert) in alerts {
        let came = of.get(id).is_some_and(|delivery| told.contains(delivery));
        found.is(came == is_told(alert), || {
            format!("deliveries: whether {id} ({:?}) came to the Ozone: {came}", alert.level)
        });
    }
    found.figures.insert("deliveries", came as f64);
    found.figures.insert("deliveries_came_again", came_again as f64);
    Ok(())
}

/// Every alert that a team may see and every decision of its own is among the events of an endpoint of it.
async fn expected(
    found: &mut Outcome,
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

/// No member was told of one decision by two events, and every member that the store says was told of what stands was.
async fn members(
    found: &mut Outcome,
    desk: &Desk<'_>,
    (desks, outside): (&Desks, &Outside),
    contents: &Contents,
) -> Result<()> {
    let mut told_by: BTreeMap<(&str, String, String), String> = BTreeMap::new();
    for endpoint in ["coordinators", ALPHA] {
        let mut came = BTreeSet::new();
        let requests = outside.came(&format!("/{endpoint}"));
        for request in requests.iter().filter(|came| came.kind == "tocsin.decision.members") {
            let document: Value = serde_json::from_slice(&request.body).context("an event is JSON")?;
            let decision = document["decision"]["id"].as_str().context("a decision has an id")?;
            let members = document["members"].as_array().context("members are a list")?;
            for member in members {
                let content = member["content"].as_str().context("a member has an id")?;
                came.insert((decision.to_owned(), content.to_owned()));
                // What was told again because copies came again is no doubling.
                if document["automated"] == Value::Bool(true) {
                    continue;
                }
                let of = (endpoint, decision.to_owned(), content.to_owned());
                let before = told_by.insert(of.clone(), request.event.clone());
                found.is(before.is_none_or(|before| before == request.event), || {
                    format!("members: {of:?} was told by two events")
                });
            }
        }
        for family in &contents.families {
            let sql = format!(
                "SELECT m.decision_id, m.content {}",
                told_of_what_stands(family, desks.number(endpoint))
            );
            for row in desk.rows(&sql).await? {
                let of = (text(&row, 0)?, text(&row, 1)?);
                found.is(came.contains(&of), || format!("members: {endpoint} never heard {of:?}"));
            }
        }
    }
    found.is(!told_by.is_empty(), || "members: nobody was told of any".to_owned());
    found.figures.insert("members_told", told_by.len() as f64);
    Ok(())
}

/// The key groups are told once what the appeal says of its evidence: again as the same record, or not at all.
fn weighings(found: &mut Outcome, log: &SharedLog) -> Result<()> {
    let mut said = BTreeSet::new();
    for record in records(log, topics::SIGHTINGS)? {
        let value = record.value.context("a sighting has a value")?;
        if matches!(SightingsRecord::decode(&value), Ok(SightingsRecord::Weighing(_))) {
            said.insert(value);
        }
    }
    found.is(said.len() == 1, || {
        format!("weighings: {} different ones are on the log", said.len())
    });
    Ok(())
}

/// Members that stayed in a family.
fn stayed(family: &[String]) -> Vec<String> {
    let stayed = family.iter().enumerate().filter(|(place, _)| *place != TAKEN_OUT);
    stayed.map(|(_, url)| format!("'{}'", id(url))).collect()
}

/// Those of them that a team was told of what stands, as a part of a statement.
fn told_of_what_stands(family: &[String], team: i64) -> String {
    format!(
        "FROM member_decisions m JOIN cases c ON c.decision_id = m.decision_id AND c.merged_into IS NULL \
         WHERE m.team = {team} AND c.team = {team} AND c.family IN ({0}) AND m.content IN ({0})",
        stayed(family).join(", ")
    )
}

/// Waits until every member of each family was told of what stands, by each team that decided.
async fn members_told(desk: &mut Desk<'_>, desks: &Desks, contents: &Contents) -> Result<()> {
    let mut untold = String::new();
    let told = desk
        .until("every member is told of what stands", async |desk| {
            untold.clear();
            for (name, team) in &desks.teams {
                for family in &contents.families {
                    let members = stayed(family);
                    let team = team.to_number();
                    let sql = format!("SELECT count(*) {}", told_of_what_stands(family, team));
                    let count = desk.count(&sql, 0).await?;
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
