use crate::fixture::{COORDINATORS, alert, n, on_both, on_empty};
use crate::{command, coordinator, declared, family, invite, new, note, party, refusal, why};
use sqlx::migrate::Migrator;
use std::borrow::Cow;
use std::path::Path;
use tocsin_casework::{CaseState, Filter, UNREVIEWED_BELOW};
use tocsin_incident::{Command, IncidentId, Marking, Origin, ProtocolVersion, REMIND_AFTER, Refusal, RingRule, Tlp};
use tocsin_model::{Alert, AlertLevel, AlertReason, Milliseconds, PartyId, Scope};
use tocsin_store::{
    Asking, DeliveryEvent, EndpointKind, NewEndpoint, OPEN_INCIDENTS_MAX, QueueQuery, Store, StoreError, TIMELINE_MAX,
};

const TAKEN: Milliseconds = Milliseconds::from_seconds(10);

#[tokio::test]
async fn an_incident_begins_with_the_family_of_its_alert_or_case() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let seen = alert(5, Scope::Coordinators, AlertLevel::Raised, 1);
        let private = alert(6, Scope::Party(PartyId(1)), AlertLevel::Raised, 1);
        f.store
            .apply_alerts(&[seen.clone(), private.clone()], UNREVIEWED_BELOW)
            .await
            .unwrap();
        let query = QueueQuery {
            team: COORDINATORS,
            state: CaseState::Open,
            filter: Filter::default(),
            limit: 9,
            after: None,
            urgent_within: Milliseconds(0),
        };
        let case = f.store.queue(&query).await.unwrap().cases[0].id;
        let declare = async |id: u128, origin| {
            let declared = f
                .store
                .declare_incident(anna, IncidentId(id), &new(origin, Tlp::Amber))
                .await;
            declared.map(|made| made.incident.families.iter().map(|of| of.family).collect::<Vec<_>>())
        };
        let both = [family(5), family(1)];
        assert_eq!(declare(1, Origin::Alert { alert: seen.id }).await.unwrap(), both);
        assert_eq!(declare(2, Origin::Case { case }).await.unwrap(), both);
        // What coordinators may not see is not there.
        let hidden = declare(3, Origin::Alert { alert: private.id }).await;
        assert_eq!(refusal(hidden), Refusal::NoSuchOrigin);
        assert_eq!(f.store.open_incidents().await.unwrap().len(), 2);

        let north = party(f, "north").await;
        let theirs = f
            .store
            .declare_incident(north, IncidentId(4), &new(Origin::Hand, Tlp::Amber))
            .await;
        assert_eq!(refusal(theirs), Refusal::CoordinatorsOnly);
        let mut unknown = new(Origin::Hand, Tlp::Amber);
        unknown.declaration.protocol.version = 2;
        let unknown = f.store.declare_incident(anna, IncidentId(4), &unknown).await;
        assert_eq!(refusal(unknown), Refusal::NoSuchProtocol);
        f.store.revoke_key(anna.key).await.unwrap();
        let revoked = f
            .store
            .declare_incident(anna, IncidentId(4), &new(Origin::Hand, Tlp::Amber))
            .await;
        assert!(matches!(revoked, Err(StoreError::KeyRevoked)), "{revoked:?}");
    })
    .await;
}

#[tokio::test]
async fn of_many_who_saw_the_same_version_one_changes_it() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let incident = declared(f, anna).await;
        let (id, version) = (incident.id, Some(incident.version));
        let other = f.another().await;
        let changes = (2..10u128).map(|number| {
            let store = if number % 2 == 0 {
                f.store.clone()
            } else {
                other.clone()
            };
            async move {
                let attach = Command::Attach { family: family(number) };
                store.command_incident(anna, (id, version), &attach).await
            }
        });
        let tasks: Vec<_> = changes.map(tokio::spawn).collect();
        let mut done = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => done += 1,
                stale => assert_eq!(refusal(stale), Refusal::VersionStale),
            }
        }
        assert_eq!(done, 1);
        let kept = f.store.incident(anna, id).await.unwrap().incident;
        assert_eq!(
            (kept.families.len(), Some(kept.version)),
            (2, version.map(|version| version + 1))
        );
    })
    .await;
}

#[tokio::test]
async fn rules_attach_what_rings_once_and_only_while_the_incident_is_open() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let id = declared(f, anna).await.id;
        let rule = RingRule {
            reasons: vec![AlertReason::LiveMatch],
            platform: None,
            priority_min: 1,
        };
        command(&f.store, anna, id, Command::AddRule(rule)).await.unwrap();
        let rings = async |family, reason| {
            let alert = Alert {
                reason,
                ..alert(family, Scope::Coordinators, AlertLevel::Raised, 1)
            };
            f.store
                .apply_alerts(&[alert.clone(), alert], UNREVIEWED_BELOW)
                .await
                .unwrap();
        };
        rings(20, AlertReason::Spread).await;
        rings(21, AlertReason::LiveMatch).await;
        rings(21, AlertReason::LiveMatch).await;
        let families = async || {
            let incident = f.store.incident(anna, id).await.unwrap().incident;
            incident
                .families
                .iter()
                .map(|of| (of.family, of.rule))
                .collect::<Vec<_>>()
        };
        let expected = [(family(1), None), (family(21), Some(1))];
        assert_eq!(families().await, expected);
        let page = f.store.timeline(anna, id, (None, TIMELINE_MAX)).await.unwrap().unwrap();
        assert_eq!(page.entries.last().unwrap().by, None);
        let conclude = Command::Conclude {
            reason: why(),
            shown: None,
        };
        command(&f.store, anna, id, conclude).await.unwrap();
        rings(22, AlertReason::LiveMatch).await;
        assert_eq!(families().await, expected);
    })
    .await;
}

async fn endpoint(store: &Store, name: &str, of: Asking, kind: EndpointKind) {
    let endpoint = NewEndpoint {
        name: n(name),
        team: of.team.unwrap(),
        kind,
        target: "https://desk.example/".to_owned(),
        settings: std::collections::BTreeMap::new(),
        secret: "whsec_x".to_owned(),
    };
    store.add_endpoint(&endpoint).await.unwrap();
}

#[tokio::test]
async fn who_takes_part_is_told_at_the_endpoints_it_has() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let (north, south) = (party(f, "north").await, party(f, "south").await);
        endpoint(&f.store, "north-hook", north, EndpointKind::Webhook).await;
        endpoint(&f.store, "north-coop", north, EndpointKind::Coop).await;
        endpoint(&f.store, "south-hook", south, EndpointKind::Webhook).await;
        let id = declared(f, anna).await.id;
        invite(f, anna, id, north).await;
        let remind = Command::Remind {
            team: north.team.unwrap(),
            message: "Are you there?".to_owned(),
        };
        assert_eq!(
            refusal(command(&f.store, anna, id, remind.clone()).await),
            Refusal::RemindedJustNow
        );
        f.clock.advance(REMIND_AFTER);
        command(&f.store, anna, id, remind).await.unwrap();
        let activate = Command::Activate {
            level: "awareness".to_owned(),
            reason: "it spreads".to_owned(),
            shown: None,
        };
        command(&f.store, anna, id, activate).await.unwrap();
        command(&f.store, anna, id, note("told to nobody", Marking::of(Tlp::Clear)))
            .await
            .unwrap();
        // From now on it does not go to north.
        f.store.add_sharing_group(&n("inner")).await.unwrap();
        f.store
            .set_sharing_group_member(&n("inner"), COORDINATORS, true)
            .await
            .unwrap();
        let inner = Marking {
            group: Some(n("inner")),
            ..Marking::of(Tlp::Amber)
        };
        let mark = Command::Mark {
            marking: inner,
            reason: why(),
        };
        command(&f.store, anna, id, mark).await.unwrap();
        let conclude = Command::Conclude {
            reason: why(),
            shown: None,
        };
        command(&f.store, anna, id, conclude).await.unwrap();

        let taken = f.store.take_deliveries(&n("north-hook"), 10, TAKEN).await.unwrap();
        let told = taken.iter().map(|delivery| match &delivery.event {
            DeliveryEvent::Incident(message) => {
                assert_eq!((message.incident, message.tlp), (id, Tlp::Amber));
                (message.kind.as_str(), message.says.as_str(), message.level.as_deref())
            }
            other => panic!("no message: {other:?}"),
        });
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                ("invited", "Please look.", None),
                ("reminded", "Are you there?", None),
                ("activated", "it spreads", Some("awareness")),
            ]
        );
        for others in ["north-coop", "south-hook"] {
            assert!(f.store.take_deliveries(&n(others), 10, TAKEN).await.unwrap().is_empty());
        }
        let nobody = Command::Invite {
            team: tocsin_casework::Team::Party(PartyId(99)),
            groups: std::collections::BTreeSet::new(),
            class: "platforms".to_owned(),
            message: String::new(),
        };
        let other = declared(f, anna).await.id;
        let invited = command(&f.store, anna, other, nobody).await;
        assert!(matches!(invited, Err(StoreError::NoSuchParty { .. })), "{invited:?}");
    })
    .await;
}

#[tokio::test]
async fn so_many_are_open_at_once() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let mut last = None;
        for _ in 0..OPEN_INCIDENTS_MAX {
            last = Some(declared(f, anna).await.id);
        }
        let more = async || {
            f.store
                .declare_incident(anna, IncidentId(1), &new(Origin::Hand, Tlp::Amber))
                .await
        };
        assert_eq!(refusal(more().await), Refusal::TooManyIncidents);
        let conclude = Command::Conclude {
            reason: why(),
            shown: None,
        };
        command(&f.store, anna, last.unwrap(), conclude).await.unwrap();
        more().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_protocol_once_added_never_changes() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let (_, shipped) = tocsin_protocol::SHIPPED[0];
        let own = shipped.replacen("name = \"crisis\"", "name = \"own\"", 1);
        let version = f.store.add_protocol(&own).await.unwrap();
        assert_eq!(f.store.add_protocol(&own).await.unwrap(), version);
        let other = own.replacen("A crisis", "Another crisis", 1);
        for taken in [other, shipped.replacen("A crisis", "Another crisis", 1)] {
            let refused = f.store.add_protocol(&taken).await;
            assert!(matches!(refused, Err(StoreError::ProtocolTaken { .. })), "{refused:?}");
        }
        assert!(matches!(
            f.store.add_protocol("name = 1").await,
            Err(StoreError::ProtocolRefused(_))
        ));
        let mut under = new(Origin::Hand, Tlp::Amber);
        under.declaration.protocol = version.clone();
        let made = f.store.declare_incident(anna, IncidentId(1), &under).await.unwrap();
        assert_eq!(made.incident.protocol, version);
        assert_eq!(f.store.protocol(&version).await.unwrap().text, own);
        let names: Vec<String> = f
            .store
            .protocols()
            .await
            .unwrap()
            .into_iter()
            .map(|of| of.protocol.name)
            .collect();
        assert_eq!(
            names,
            [
                "crisis",
                "eu-crisis-protocol",
                "new-zealand",
                "own",
                "perpetrator-content"
            ]
        );
        let none = ProtocolVersion {
            name: "own".to_owned(),
            version: 7,
        };
        assert_eq!(refusal(f.store.protocol(&none).await), Refusal::NoSuchProtocol);
    })
    .await;
}

/// The migrations of a database up to the one before there were incidents.
async fn before_incidents(database: &str) -> Migrator {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
    let mut migrator = Migrator::new(directory).await.unwrap();
    let before = migrator.migrations.iter().filter(|migration| migration.version < 400);
    migrator.migrations = Cow::Owned(before.cloned().collect());
    migrator
}

/// The stored form of a delivery event about an alert.
async fn alert_document() -> String {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("scratch.db").display());
    let store = Store::open(&url).await.unwrap();
    let coordinators = Asking {
        key: tocsin_model::KeyId(1),
        team: Some(COORDINATORS),
    };
    endpoint(&store, "desk", coordinators, EndpointKind::Webhook).await;
    store
        .apply_alert(&alert(1, Scope::Coordinators, AlertLevel::Raised, 1))
        .await
        .unwrap();
    store.close().await;
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let document = sqlx::query_scalar("SELECT document FROM delivery_events")
        .fetch_one(&pool)
        .await;
    document.unwrap()
}

#[tokio::test]
async fn what_was_on_its_way_before_an_upgrade_goes_out_after_it() {
    let document = alert_document().await;
    let before = format!(
        "INSERT INTO endpoints (endpoint, team, kind, target, settings, secret, added_at) \
         VALUES ('desk', 1, 1, 'https://desk.example/', '{{}}', 'x', 1); \
         INSERT INTO delivery_events (event_id, kind, document, added_at) VALUES ('e', 1, '{document}', 1); \
         INSERT INTO deliveries (delivery_id, endpoint, event_id, added_at, state, attempts, due_at) \
         VALUES ('d', 'desk', 'e', 1, 1, 0, 1); \
         INSERT INTO applied_alerts (alert_id, applied_at) VALUES ('0a', 1)"
    );
    on_empty(async |url| {
        if url.starts_with("postgres") {
            let pool = sqlx::PgPool::connect(&url).await.unwrap();
            before_incidents("postgres").await.run(&pool).await.unwrap();
            sqlx::raw_sql(&before).execute(&pool).await.unwrap();
        } else {
            let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
            let pool = sqlx::SqlitePool::connect_with(options.create_if_missing(true))
                .await
                .unwrap();
            before_incidents("sqlite").await.run(&pool).await.unwrap();
            sqlx::raw_sql(&before).execute(&pool).await.unwrap();
        }
        let store = Store::open(&url).await.unwrap();
        let taken = store.take_deliveries(&n("desk"), 10, TAKEN).await.unwrap();
        assert!(matches!(taken[0].event, DeliveryEvent::Alert(_)), "{taken:?}");
        store.close().await;
    })
    .await;
}
