//! Goal: a content is listed while an enabled bank lists it, as gravely as banks and parties say; a list is replaced as a whole or not at all;
//! and the log is told of every difference, once it is there, in bounded batches.
#![allow(clippy::unwrap_used, dead_code)]

#[path = "../fixture/mod.rs"]
mod fixture;
mod history;

use std::collections::BTreeMap;

use fixture::{Fixture, START, n, on_both};
use tocsin_model::{
    Aggregate, Algorithm, BankEntry, BankName, ContentHash, ListUpdate, Milliseconds, Opinion, Sampled, Severity,
    Timestamp,
};
use tocsin_store::{BankSettings, STAGED_MAX, Store, StoreError};

const HOUR: Milliseconds = Milliseconds::from_hours(1);

fn md5(number: u32) -> ContentHash {
    let mut value = vec![0; 16];
    value[..4].copy_from_slice(&number.to_be_bytes());
    ContentHash::from_bytes(Algorithm::Md5, value, None).unwrap()
}

fn bank(name: &str) -> BankName {
    name.parse().unwrap()
}

fn grave(number: u8) -> Severity {
    Severity::new(number).unwrap()
}

fn settings(severity: u8) -> BankSettings {
    BankSettings {
        source: n("north"),
        severity: grave(severity),
        enabled: true,
        sampled: Sampled::ALL,
    }
}

fn entries(numbers: impl IntoIterator<Item = u32>) -> Vec<BankEntry> {
    numbers.into_iter().map(|number| BankEntry::new(md5(number))).collect()
}

async fn import(store: &Store, name: &BankName, entries: &[BankEntry]) {
    let mut staged = store.begin_list(name).await.unwrap();
    for chunk in entries.chunks(7) {
        store.stage(&mut staged, chunk).await.unwrap();
    }
    let switched = store.switch_list(staged).await.unwrap();
    assert_eq!(switched.after, entries.len() as u64);
}

/// What a key group knows of the list: of each content the record of the highest number.
#[derive(Default)]
struct Told {
    known: BTreeMap<ContentHash, (u64, Option<Severity>)>,
    records: usize,
}

impl Told {
    /// Publishes until there is nothing to publish, in batches of so many rows.
    async fn publish(&mut self, store: &Store, limit: u32) {
        while let Some(batch) = store.watch_batch(limit).await.unwrap() {
            assert!(batch.changes.len() <= limit as usize * 4, "a batch is bounded");
            for change in &batch.changes {
                let known = self.known.entry(change.hash.clone()).or_insert((0, None));
                if change.number > known.0 {
                    *known = (change.number, change.listed);
                }
            }
            self.records += batch.changes.len();
            store.watch_published(&batch).await.unwrap();
        }
        assert!(!store.watch_is_pending().await.unwrap());
    }

    fn listed(&self) -> Vec<(ContentHash, u8)> {
        let listed =
            |(hash, (_, listed)): (&ContentHash, &(u64, Option<Severity>))| Some((hash.clone(), (*listed)?.get()));
        self.known.iter().filter_map(listed).collect()
    }

    async fn check(&mut self, store: &Store, expected: impl IntoIterator<Item = (u32, u8)>, what: &str) {
        self.publish(store, 5).await;
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(number, severity)| (md5(number), severity))
            .collect();
        assert_eq!(self.listed(), expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_lists_what_it_holds_as_its_settings_say() {
    on_both(async |f| {
        let (store, mut told) = (&f.store, Told::default());
        let (a, b) = (bank("A"), bank("B"));
        assert!(store.set_bank(&a, &settings(2)).await.unwrap());
        assert!(!store.set_bank(&a, &settings(2)).await.unwrap(), "the same again");
        store.set_bank(&b, &settings(3)).await.unwrap();
        import(store, &a, &entries(0..20)).await;
        told.check(store, (0..20).map(|number| (number, 2)), "one bank").await;

        import(store, &b, &entries(18..22)).await;
        let both = |severity| {
            (0..18)
                .map(move |number| (number, severity))
                .chain((18..22).map(|number| (number, 3)))
        };
        told.check(store, both(2), "the gravest of two").await;

        store.set_bank(&a, &settings(1)).await.unwrap();
        told.check(store, both(1), "another severity").await;

        let off = BankSettings {
            enabled: false,
            ..settings(3)
        };
        store.set_bank(&b, &off).await.unwrap();
        told.check(store, (0..20).map(|number| (number, 1)), "a bank that is not in use")
            .await;

        let some = BankSettings {
            sampled: Sampled::from_fraction(0.4).unwrap(),
            ..settings(1)
        };
        store.set_bank(&a, &some).await.unwrap();
        let sampled: Vec<u32> = (0..20).filter(|number| some.sampled.takes(&md5(*number))).collect();
        assert!((1..20).contains(&sampled.len()));
        told.check(store, sampled.into_iter().map(|number| (number, 1)), "a part of a bank")
            .await;

        let banks = store.banks().await.unwrap();
        let figures: Vec<_> = banks
            .iter()
            .map(|bank| (bank.name.as_str(), bank.entries, bank.settings.enabled))
            .collect();
        assert_eq!(figures, [("A", 20, true), ("B", 4, false)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_list_is_published_as_the_difference_alone() {
    on_both(async |f| {
        let (store, mut told) = (&f.store, Told::default());
        let a = bank("A");
        store.set_bank(&a, &settings(2)).await.unwrap();
        import(store, &a, &entries(0..40)).await;
        told.publish(store, 5).await;
        let before = told.records;
        import(
            store,
            &a,
            &entries((0..40).filter(|number| number % 8 != 0).chain(40..43)),
        )
        .await;
        let expected = (0..43)
            .filter(|number| number % 8 != 0 || *number >= 40)
            .map(|number| (number, 2));
        told.check(store, expected, "five taken off and three put on").await;
        assert_eq!(told.records - before, 8);
        // Two switches before either was published.
        import(store, &a, &entries(0..10)).await;
        import(store, &a, &entries(5..12)).await;
        told.check(store, (5..12).map(|number| (number, 2)), "the latest list")
            .await;
        import(store, &a, &[]).await;
        told.check(store, [], "an empty list").await;
        while store.forget_lists(3, HOUR).await.unwrap() > 0 {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_not_put_in_force_changes_nothing() {
    on_both(async |f| {
        let (store, mut told) = (&f.store, Told::default());
        let a = bank("A");
        store.set_bank(&a, &settings(2)).await.unwrap();
        import(store, &a, &entries(0..3)).await;
        told.publish(store, 5).await;
        while store.forget_lists(1_000, HOUR).await.unwrap() > 0 {}
        let mut staged = store.begin_list(&a).await.unwrap();
        let held = |party: u32| (n(&format!("party-{party}")), Opinion::Positive);
        let mut written = entries(0..100);
        for entry in &mut written[..9] {
            entry.opinions = (0..20).map(held).collect();
        }
        store.stage(&mut staged, &written).await.unwrap();
        let wrong: [Vec<BankEntry>; 3] = [
            entries([99]),
            entries([200, 150]),
            entries(200..200 + STAGED_MAX as u32 + 1),
        ];
        for wrong in wrong {
            let refused = store.stage(&mut staged, &wrong).await;
            assert!(matches!(refused, Err(StoreError::ListOutOfOrder)), "{refused:?}");
        }
        // Whoever wrote it is gone.
        assert!(!store.watch_is_pending().await.unwrap());
        assert_eq!(
            store.forget_lists(1_000, HOUR).await.unwrap(),
            0,
            "it may still be written"
        );
        f.clock.advance(HOUR);
        let mut forgotten = 0;
        while let more @ 1.. = store.forget_lists(30, HOUR).await.unwrap() {
            assert!(more <= 30 + 64 + 1, "bounded");
            forgotten += more;
        }
        assert_eq!(forgotten, 100 + 180 + 1, "entries, opinions, and the list");
        let refused = store.switch_list(staged).await;
        assert!(matches!(refused, Err(StoreError::ListForgotten)), "{refused:?}");
        told.check(store, (0..3).map(|number| (number, 2)), "the old list")
            .await;
        assert!(matches!(
            store.begin_list(&bank("B")).await,
            Err(StoreError::NoSuchBank { .. })
        ));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn provenance_is_kept_and_the_first_listing_stays_the_first() {
    on_both(async |f| {
        let (store, a) = (&f.store, bank("A"));
        store.set_bank(&a, &settings(2)).await.unwrap();
        let entry = |tags: &[&str]| BankEntry {
            severity: Some(grave(4)),
            source_id: Some("17".to_owned()),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..BankEntry::new(md5(1))
        };
        import(store, &a, &[entry(&["group:a", "media_priority_s0"])]).await;
        f.clock.advance(HOUR);
        import(store, &a, &[entry(&["group:b"]), BankEntry::new(md5(2))]).await;
        f.clock.advance(HOUR);
        let older = Timestamp(START.0 - 5);
        let told_later = BankEntry {
            listed_at: Some(older),
            ..BankEntry::new(md5(2))
        };
        assert_eq!(
            store
                .update_list(&a, &[ListUpdate::Listed(told_later)], None)
                .await
                .unwrap(),
            0
        );
        let (listings, next) = store.watch_listings(Some(&a), None, 10).await.unwrap();
        assert!(next.is_none());
        let [first, second] = &listings[..] else {
            panic!("{listings:?}")
        };
        assert_eq!(
            (&first.source_id, &first.tags, first.severity),
            (&Some("17".to_owned()), &vec!["group:b".to_owned()], grave(4))
        );
        assert_eq!((first.listed_at, first.updated_at), (START, START + HOUR));
        assert_eq!(
            (second.listed_at, second.updated_at, second.severity),
            (older, START + HOUR + HOUR, grave(2))
        );
        assert_eq!(second.source, n("north"));

        // The same in pages, over all banks.
        let (mut paged, mut after) = (Vec::new(), None);
        store.watch(&md5(9), &n("south"), grave(1)).await.unwrap();
        loop {
            let (page, next) = store.watch_listings(None, after.as_ref(), 1).await.unwrap();
            paged.extend(page);
            let Some(next) = next else { break };
            after = Some(next);
        }
        assert_eq!(paged.len(), 3);
        assert_eq!(paged[..2], listings);
        assert_eq!(paged[2].bank, bank("SOUTH"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_parties_hold_decides_how_gravely_a_content_is_listed() {
    on_both(async |f| {
        let (store, mut told) = (&f.store, Told::default());
        let a = bank("A");
        store.set_bank(&a, &settings(4)).await.unwrap();
        let with = |number, opinions: &[(&str, Opinion)]| BankEntry {
            opinions: opinions.iter().map(|(party, opinion)| (n(party), *opinion)).collect(),
            ..BankEntry::new(md5(number))
        };
        use Opinion::{InvestigationSeed, Negative, Positive};
        let all = [
            with(0, &[]),
            with(1, &[("x", Positive), ("y", InvestigationSeed)]),
            with(2, &[("x", Positive), ("y", Negative)]),
            with(3, &[("y", Negative)]),
            with(4, &[("y", InvestigationSeed)]),
        ];
        import(store, &a, &all).await;
        told.check(store, [(0, 4), (1, 4), (2, 1), (4, 1)], "what the list itself says")
            .await;
        let aggregate = async |number| store.listings_of(&md5(number)).await.unwrap().1;
        assert_eq!(aggregate(2).await, Some(Aggregate::Disputed));
        assert_eq!(aggregate(3).await, Some(Aggregate::Negative));

        // A party that lists nothing.
        assert!(store.hold_opinion(&md5(0), &n("z"), Some(Negative)).await.unwrap());
        assert!(!store.hold_opinion(&md5(0), &n("z"), Some(Negative)).await.unwrap());
        told.check(store, [(0, 1), (1, 4), (2, 1), (4, 1)], "disputed").await;
        assert!(store.hold_opinion(&md5(0), &n("z"), None).await.unwrap());
        assert!(store.hold_opinion(&md5(4), &n("z"), Some(Positive)).await.unwrap());
        told.check(store, [(0, 4), (1, 4), (2, 1), (4, 4)], "taken back, and agreed")
            .await;

        // The same list with other opinions.
        import(
            store,
            &a,
            &[
                with(0, &[]),
                with(1, &[]),
                with(2, &[]),
                with(3, &[]),
                with(4, &[("y", Negative)]),
            ],
        )
        .await;
        told.check(
            store,
            [(0, 4), (1, 4), (2, 4), (3, 4), (4, 1)],
            "z still holds it for positive",
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_party_holds_outlives_an_import_into_its_bank() {
    on_both(async |f| {
        let (store, mut told) = (&f.store, Told::default());
        use Opinion::{InvestigationSeed, Negative};
        let north = bank("FAR_NORTH");
        store.set_bank(&north, &settings(4)).await.unwrap();
        import(store, &north, &entries(0..5)).await;
        for (number, opinion) in [(0, InvestigationSeed), (1, Negative), (2, Negative), (9, Negative)] {
            let party = n("far-north");
            assert!(store.hold_opinion(&md5(number), &party, Some(opinion)).await.unwrap());
        }
        let other = bank("OTHER");
        store.set_bank(&other, &settings(3)).await.unwrap();
        import(store, &other, &entries(9..10)).await;
        told.check(store, [(0, 1), (3, 4), (4, 4), (9, 1)], "before").await;
        // 1 is not in the new list, of 2 it says something itself, 5 is new.
        let mut list = entries([0, 2, 3, 4, 5]);
        list[1].opinions = vec![(n("far-north"), Opinion::Positive)];
        import(store, &north, &list).await;
        told.check(store, [(0, 1), (2, 4), (3, 4), (4, 4), (5, 4), (9, 1)], "after")
            .await;
        import(store, &north, &entries([0, 1, 2])).await;
        told.check(
            store,
            [(0, 1), (1, 4), (2, 4), (9, 1)],
            "what was held of 1 went with it, and 9 was never listed here",
        )
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_and_the_place_where_to_go_on_stand_together() {
    on_both(async |f| {
        let (store, mut told) = (&f.store, Told::default());
        let a = bank("A");
        store.set_bank(&a, &settings(2)).await.unwrap();
        let listed = |number| ListUpdate::Listed(BankEntry::new(md5(number)));
        let withdrawn = |number| ListUpdate::Withdrawn(md5(number));
        let page = [listed(1), listed(2), withdrawn(1), listed(3), withdrawn(7)];
        assert_eq!(store.update_list(&a, &page, Some(("a", "17,3"))).await.unwrap(), 4);
        told.check(store, [(2, 2), (3, 2)], "in order").await;
        assert_eq!(
            store.update_list(&a, &page, Some(("a", "18,1"))).await.unwrap(),
            2,
            "1 comes and goes again"
        );
        told.check(store, [(2, 2), (3, 2)], "the same again").await;
        f.clock.advance(HOUR);
        store.note_attempt("a", Some("page_malformed")).await.unwrap();
        let states = store.follow_states().await.unwrap();
        assert_eq!(states.len(), 1);
        assert_eq!(states[0].checkpoint.as_deref(), Some("18,1"));
        assert_eq!(
            (states[0].advanced_at, states[0].attempted_at),
            (Some(START), START + HOUR)
        );
        assert_eq!(states[0].problem.as_deref(), Some("page_malformed"));

        let unknown = store.update_list(&bank("B"), &page, Some(("a", "19"))).await;
        assert!(matches!(unknown, Err(StoreError::NoSuchBank { .. })));
        assert_eq!(store.follow_states().await.unwrap(), states, "nothing of it stands");
        assert_eq!(store.banks().await.unwrap()[0].entries, 2);
        assert!(store.forget_follow("a").await.unwrap());
        assert_eq!(store.follow_states().await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_names_the_banks_that_list_a_hash() {
    on_both(async |f: &Fixture| {
        let store = &f.store;
        let none = BankSettings {
            sampled: Sampled::from_fraction(0.0).unwrap(),
            ..settings(2)
        };
        let off = BankSettings {
            enabled: false,
            ..settings(2)
        };
        for (name, settings) in [("A", &settings(2)), ("B", &settings(3)), ("OFF", &off), ("NONE", &none)] {
            store.set_bank(&bank(name), settings).await.unwrap();
            import(store, &bank(name), &entries([1])).await;
        }
        let (listings, aggregate) = store.listings_of(&md5(1)).await.unwrap();
        let names: Vec<_> = listings
            .iter()
            .map(|listing| (listing.bank.as_str(), listing.severity.get()))
            .collect();
        assert_eq!(
            (names, aggregate),
            (vec![("A", 2), ("B", 3)], Some(Aggregate::Positive))
        );
        assert_eq!(store.listings_of(&md5(2)).await.unwrap(), (vec![], None));
    })
    .await;
}
