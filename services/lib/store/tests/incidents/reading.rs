use crate::fixture::{n, on_both};
use crate::{asking, command, coordinator, declared, family, invite, new, note, party, refusal, why};
use tocsin_incident::{Command, Event, Incident, IncidentId, Marking, Origin, Phase, Refusal, Tlp};
use tocsin_model::Milliseconds;
use tocsin_store::{Asking, IncidentQuery, KeySubject, Roles, Store, TIMELINE_MAX};

/// The names of what somebody reads in a timeline.
async fn timeline(store: &Store, who: Asking, id: IncidentId) -> Vec<&'static str> {
    let page = store.timeline(who, id, (None, TIMELINE_MAX)).await.unwrap().unwrap();
    page.entries.iter().map(|entry| entry.event.name()).collect()
}

#[tokio::test]
async fn an_incident_is_read_by_those_it_is_shared_with() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let (north, south) = (party(f, "north").await, party(f, "south").await);
        let operator = f.store.issue_key(KeySubject::Operator, Roles::all()).await.unwrap().0;
        let operator = Asking {
            key: operator,
            team: None,
        };
        let id = declared(f, anna).await.id;
        invite(f, anna, id, north).await;
        let all = [anna, north, south, operator];
        let readers = async || {
            let mut reads = Vec::new();
            for who in all {
                let listed = f
                    .store
                    .incidents(
                        who,
                        &IncidentQuery {
                            limit: 9,
                            ..IncidentQuery::default()
                        },
                    )
                    .await;
                let listed = listed.unwrap().unwrap().incidents.len() == 1;
                match f.store.incident(who, id).await {
                    Ok(_) => assert!(listed && f.store.timeline(who, id, (None, 1)).await.is_ok()),
                    Err(error) => {
                        assert_eq!(refusal::<()>(Err(error)), Refusal::NoSuchIncident);
                        let hidden = f.store.timeline(who, id, (None, 1)).await;
                        assert_eq!(refusal(hidden), Refusal::NoSuchIncident);
                        assert_eq!(
                            refusal(command(&f.store, who, id, Command::Acknowledge).await),
                            match who.team {
                                Some(_) => Refusal::NoSuchIncident,
                                None => Refusal::CoordinatorsOnly,
                            }
                        );
                        assert!(!listed);
                    }
                }
                reads.push(listed);
            }
            reads
        };
        assert_eq!(readers().await, [true, true, false, false]);
        let mark = async |tlp| {
            let marking = Marking::of(tlp);
            let mark = Command::Mark { marking, reason: why() };
            command(&f.store, anna, id, mark).await.unwrap();
        };
        mark(Tlp::Green).await;
        assert_eq!(readers().await, [true, true, true, false]);
        mark(Tlp::Clear).await;
        assert_eq!(readers().await, [true, true, true, true]);
        mark(Tlp::AmberStrict).await;
        command(&f.store, north, id, Command::Leave { reason: why() })
            .await
            .unwrap();
        assert_eq!(readers().await, [true, false, false, false]);
    })
    .await;
}

#[tokio::test]
async fn a_note_is_read_by_those_it_is_marked_for_and_a_cursor_tells_nobody_else_of_it() {
    on_both(async |f| {
        let anna = coordinator(f).await;
        let (north, south) = (party(f, "north").await, party(f, "south").await);
        for who in [anna, north] {
            let group = n("inner");
            let _ = f.store.add_sharing_group(&group).await;
            f.store
                .set_sharing_group_member(&group, who.team.unwrap(), true)
                .await
                .unwrap();
        }
        let id = declared(f, anna).await.id;
        invite(f, anna, id, north).await;
        invite(f, anna, id, south).await;
        let inner = Marking {
            group: Some(n("inner")),
            ..Marking::of(Tlp::Amber)
        };
        let red = Marking {
            recipients: [south.key].into(),
            ..Marking::of(Tlp::Red)
        };
        let outside = command(&f.store, south, id, note("theirs", inner.clone())).await;
        assert_eq!(refusal(outside), Refusal::NoSuchGroup);
        let of_group = command(&f.store, anna, id, note("ours", inner)).await.unwrap();
        command(&f.store, north, id, note("a name", red)).await.unwrap();
        let version = f.store.incident(south, id).await.unwrap().incident.version;
        assert_eq!(version, of_group.incident.version);

        let start = ["declared", "attached", "invited", "invited"];
        let with = |notes: usize| [&start[..], &["noted"][..].repeat(notes)].concat();
        assert_eq!(timeline(&f.store, anna, id).await, with(1));
        assert_eq!(timeline(&f.store, north, id).await, with(2));
        assert_eq!(timeline(&f.store, south, id).await, with(1));

        // Page by page, one entry each: the same.
        for (who, notes) in [(anna, 1), (north, 2), (south, 1)] {
            let (mut after, mut names) = (None, Vec::new());
            loop {
                let page = f.store.timeline(who, id, (after, 1)).await.unwrap().unwrap();
                names.extend(page.entries.iter().map(|entry| entry.event.name()));
                let Some(next) = page.next else { break };
                after = Some(next);
            }
            assert_eq!(names, with(notes));
        }
        // A cursor of what one may not read is no cursor, nor is one of nothing.
        for after in [of_group.event_id, 7] {
            assert!(f.store.timeline(south, id, (Some(after), 9)).await.unwrap().is_none());
        }
        // Who leaves the group reads no more of it.
        f.store
            .set_sharing_group_member(&n("inner"), north.team.unwrap(), false)
            .await
            .unwrap();
        assert_eq!(timeline(&f.store, north, id).await, with(1));
    })
    .await;
}

#[tokio::test]
async fn incidents_are_listed_page_by_page_the_latest_first() {
    on_both(async |f| {
        let (anna, north) = (coordinator(f).await, party(f, "north").await);
        let mut shared = Vec::new();
        for number in 0..7u128 {
            let tlp = if number % 3 == 0 { Tlp::Amber } else { Tlp::Green };
            let made = f
                .store
                .declare_incident(anna, IncidentId(number), &new(Origin::Hand, tlp))
                .await;
            let made = made.unwrap().incident;
            if tlp == Tlp::Green {
                shared.insert(0, made.id);
            }
            f.clock.advance(Milliseconds(number as i64 % 2));
        }
        let ids = |incidents: &[Incident]| incidents.iter().map(|incident| incident.id).collect::<Vec<_>>();
        for limit in [1, 3, 100] {
            let (mut after, mut read) = (None, Vec::new());
            loop {
                let query = IncidentQuery {
                    limit,
                    after,
                    ..IncidentQuery::default()
                };
                let page = f.store.incidents(north, &query).await.unwrap().unwrap();
                read.extend(ids(&page.incidents));
                let Some(next) = page.next else { break };
                after = Some(next);
            }
            assert_eq!(read, shared, "{limit} at a time");
        }
        let hidden = IncidentQuery {
            limit: 9,
            after: Some(IncidentId(0)),
            ..IncidentQuery::default()
        };
        assert!(f.store.incidents(north, &hidden).await.unwrap().is_none());

        let conclude = Command::Conclude {
            reason: why(),
            shown: None,
        };
        command(&f.store, anna, shared[0], conclude).await.unwrap();
        let phase = async |phase| {
            let query = IncidentQuery {
                phase: Some(phase),
                limit: 9,
                after: None,
            };
            ids(&f.store.incidents(north, &query).await.unwrap().unwrap().incidents)
        };
        assert_eq!(phase(Phase::Concluded).await, shared[..1]);
        assert_eq!(phase(Phase::Declared).await, shared[1..]);
        assert_eq!(f.store.open_incidents().await.unwrap().len(), 6);
    })
    .await;
}

#[tokio::test]
async fn the_events_that_are_kept_make_the_incident_again() {
    on_both(async |f| {
        let (anna, north) = (coordinator(f).await, party(f, "north").await);
        let id = declared(f, anna).await.id;
        invite(f, anna, id, north).await;
        command(&f.store, north, id, Command::Acknowledge).await.unwrap();
        let activate = Command::Activate {
            level: "response".to_owned(),
            reason: why(),
            shown: None,
        };
        command(&f.store, anna, id, activate).await.unwrap();
        command(&f.store, anna, id, Command::Attach { family: family(2) })
            .await
            .unwrap();
        let kept = f.another().await.incident(anna, id).await.unwrap().incident;
        let page = f.store.timeline(anna, id, (None, TIMELINE_MAX)).await.unwrap().unwrap();
        let mut entries = page.entries.iter();
        let first = entries.next().unwrap();
        assert!(matches!(first.event, Event::Declared { .. }));
        let mut again = Incident::declared(id, anna.key, &first.event, first.at).unwrap();
        for entry in entries {
            again.take(&entry.event, entry.by, entry.at);
        }
        assert_eq!(again, kept);
        assert_eq!(asking(anna.key, anna.team.unwrap()), anna);
    })
    .await;
}
