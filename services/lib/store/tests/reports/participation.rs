//! Goal: coordinators are told who took part in incidents, and how fast, of parties that agreed, and nothing of others; a party is told of itself; the agreement is
//! kept, can be taken back, and stands in the audit chain.

use std::collections::{BTreeMap, BTreeSet};

use tocsin_casework::{ClockKind, Team};
use tocsin_incident::{Command, Declaration, IncidentId, Marking, Origin, ProtocolVersion, Tlp};
use tocsin_model::{ContentId, FamilyId, Milliseconds, PartyId};
use tocsin_report::{Amount, Report};
use tocsin_store::{Asking, InReports, KeySubject, NewIncident, Observed, PageOf, Roles};

use crate::fixture::{COORDINATORS, Fixture, START, on_both};
use crate::{amount, days, exact, figures};

struct Crisis {
    parties: Vec<(PartyId, Asking)>,
    coordinator: Asking,
    id: IncidentId,
}

async fn crisis(f: &Fixture) -> Crisis {
    let mut parties = Vec::new();
    for name in ["alpha", "beta"] {
        let (party, key, _) = f.party(name).await;
        let asking = Asking {
            key,
            team: Some(Team::Party(party.id)),
        };
        parties.push((party.id, asking));
    }
    let issued = f.store.issue_key(KeySubject::Coordinators, Roles::all()).await;
    let coordinator = Asking {
        key: issued.unwrap().0,
        team: Some(COORDINATORS),
    };
    let new = NewIncident {
        declaration: Declaration {
            title: "An attack".to_owned(),
            origin: Origin::Hand,
            protocol: ProtocolVersion {
                name: "crisis".to_owned(),
                version: 1,
            },
            marking: Marking::of(Tlp::Amber),
        },
        families: Vec::new(),
    };
    let id = IncidentId(rand::random());
    f.store.declare_incident(coordinator, id, &new).await.unwrap();
    for (party, _) in &parties {
        let invite = Command::Invite {
            team: Team::Party(*party),
            groups: BTreeSet::new(),
            class: "platforms".to_owned(),
            message: "Please look.".to_owned(),
        };
        f.store
            .command_incident(coordinator, (id, None), &invite)
            .await
            .unwrap();
    }
    Crisis {
        parties,
        coordinator,
        id,
    }
}

async fn report(f: &Fixture, team: Team) -> Report {
    let tally = f.store.tally(team, days(0, 1)).await.unwrap();
    tocsin_report::transparency(&tally)
}

fn named(report: &Report) -> Vec<String> {
    let figures = figures(report).into_iter().map(|(name, _)| name);
    figures.filter(|name| name.contains("party=")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_agreed_are_named_and_to_themselves_all_are() {
    on_both(async |f| {
        let crisis = crisis(f).await;
        let [(alpha, alphas), (beta, betas)] = crisis.parties[..] else {
            panic!("two parties");
        };
        for (minutes, by) in [(7, alphas), (13, betas)] {
            f.clock.advance(Milliseconds::from_minutes(minutes));
            f.store
                .command_incident(by, (crisis.id, None), &Command::Acknowledge)
                .await
                .unwrap();
        }
        assert_eq!(
            named(&report(f, COORDINATORS).await),
            Vec::<String>::new(),
            "nobody agreed"
        );
        assert_eq!(f.store.in_reports(alpha).await.unwrap(), InReports::Unnamed);

        f.store.set_in_reports(alpha, InReports::Named).await.unwrap();
        let told = report(f, COORDINATORS).await;
        assert_eq!(amount(&told, "invited[party=alpha]"), exact(1));
        assert_eq!(amount(&told, "acknowledged[party=alpha]"), exact(1));
        let took = amount(&told, "took_to_acknowledge[party=alpha,rank=median]");
        let Some(Amount::Between { low, high }) = took else {
            panic!("{took:?}");
        };
        assert!(low <= 420 && 420 <= high && high - low < 8, "{low} to {high}");
        assert!(
            !format!("{told:?}").contains("beta"),
            "neither the party nor its platform: {told:?}"
        );
        assert_eq!(amount(&told, "leaked[platform=alpha-app]"), exact(0));

        let own = report(f, Team::Party(beta)).await;
        assert_eq!(amount(&own, "acknowledged[party=beta]"), exact(1));
        assert!(named(&own).iter().all(|name| !name.contains("alpha")));

        f.store.set_in_reports(alpha, InReports::Unnamed).await.unwrap();
        assert_eq!(named(&report(f, COORDINATORS).await), Vec::<String>::new());
        let all = PageOf {
            team: None,
            after: BTreeMap::new(),
            limit: 100,
        };
        let page = f.store.audit_page(&all).await.unwrap();
        let details = page.records.iter().map(|of| of.record.detail.as_str());
        let audited: Vec<&str> = details.filter(|detail| detail.starts_with("in reports")).collect();
        assert_eq!(audited, ["in reports: named", "in reports: unnamed"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_in_tasks_are_told_by_whether_they_were_done_in_time() {
    on_both(async |f| {
        let crisis = crisis(f).await;
        let (_, alphas) = crisis.parties[0];
        let activate = Command::Activate {
            level: "response".to_owned(),
            reason: "it spreads".to_owned(),
            shown: None,
        };
        let of = (crisis.id, None);
        let changed = f
            .store
            .command_incident(crisis.coordinator, of, &activate)
            .await
            .unwrap();
        let tasks = changed
            .incident
            .tasks
            .iter()
            .filter(|task| task.with.contains(&"platforms".to_owned()));
        let numbers: Vec<u32> = tasks.map(|task| task.number).collect();
        let [first, second] = numbers[..] else {
            panic!("the level gives platforms two tasks: {numbers:?}");
        };
        // The one is due in 15 minutes, the other in an hour.
        f.clock.advance(Milliseconds::from_minutes(20));
        let finish = |number| Command::FinishPart {
            number,
            note: String::new(),
        };
        for number in [first, second] {
            f.store.command_incident(alphas, of, &finish(number)).await.unwrap();
        }
        let own = report(f, alphas.team.unwrap()).await;
        assert_eq!(amount(&own, "parts[party=alpha,was=done_late]"), exact(1));
        assert_eq!(amount(&own, "parts[party=alpha,was=done_in_time]"), exact(1));
        let other = report(f, crisis.parties[1].1.team.unwrap()).await;
        assert_eq!(
            amount(&other, "parts[party=beta,was=not_done]"),
            exact(2),
            "at the end of the day"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_on_a_platform_whose_party_did_not_agree_changes_no_byte() {
    on_both(async |f| {
        let (hidden, ..) = f.party("hidden").await;
        f.coordinators_cases(1).await;
        let before = report(f, COORDINATORS).await;
        let reported = Observed {
            clocks: vec![(hidden.platforms[0].0, ClockKind::FirstReport, START - Milliseconds(1))],
            ..Observed::default()
        };
        let family = FamilyId(ContentId(1));
        f.store.observe(COORDINATORS, family, &reported).await.unwrap();
        assert_eq!(report(f, COORDINATORS).await, before);
        f.store.set_in_reports(hidden.id, InReports::Named).await.unwrap();
        let named = report(f, COORDINATORS).await;
        assert_eq!(amount(&named, "found[found=after_report]"), exact(1));
        f.store.revoke_party(hidden.id).await.unwrap();
        assert_eq!(report(f, COORDINATORS).await, before, "a revoked party is not named");
    })
    .await;
}
