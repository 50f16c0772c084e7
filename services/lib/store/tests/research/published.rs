//! Goal: a day is published when it is due, once, of those who take part; its bytes stay, follow from nothing that others keep to themselves, and do not
//! say which small number a number is.

use std::sync::Mutex;

use sha2::{Digest as _, Sha256};
use tocsin_model::{Milliseconds, Verdict};
use tocsin_store::{InResearch, PageOf, RESEARCH_AFTER, RESEARCH_PARTIES_MAX, StoreError};

use crate::desk::Desk;
use crate::fixture::{n, on_both};
use crate::{day, go_to, go_to_publication, publication};

const HOURS: fn(i64) -> Milliseconds = Milliseconds::from_hours;

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_published_once_it_is_due_and_never_changes() {
    on_both(async |f| {
        let alpha = Desk::new(f, "alpha").await;
        assert_eq!(f.store.publish_research_day().await.unwrap(), None, "nobody takes part");
        alpha.take_part(InResearch::Named).await;
        go_to(f, day(1), HOURS(1)).await;
        alpha.ring(1..=20).await;
        go_to(f, day(2), Milliseconds(RESEARCH_AFTER.0 - 1)).await;
        assert_eq!(f.store.publish_research_day().await.unwrap(), None, "not due");
        assert_eq!(f.store.research_day(day(1)).await.unwrap(), None);
        f.clock.advance(Milliseconds(1));
        assert_eq!(f.store.publish_research_day().await.unwrap(), Some(day(1)));
        let published = f.store.research_day(day(1)).await.unwrap().unwrap();
        assert_eq!(
            published.digest,
            hex::encode(Sha256::digest(published.document.as_bytes()))
        );

        // What comes later changes nothing, whatever another process does.
        alpha.decide(1, Verdict::Violating).await;
        assert_eq!(f.store.publish_research_day().await.unwrap(), None);
        let another = f.another().await;
        assert_eq!(another.publish_research_day().await.unwrap(), None);
        go_to_publication(f, day(4)).await;
        for number in 2..=4 {
            assert_eq!(another.publish_research_day().await.unwrap(), Some(day(number)));
        }
        assert_eq!(
            another.publish_research_day().await.unwrap(),
            None,
            "the fifth is not due"
        );
        another.close().await;
        assert_eq!(f.store.research_day(day(1)).await.unwrap(), Some(published.clone()));

        let (page, is_more) = f.store.research_days(None, 3).await.unwrap();
        let days: Vec<_> = page.iter().map(|listed| listed.day).collect();
        assert_eq!((days, is_more), (vec![day(1), day(2), day(3)], true));
        assert_eq!((page[0].populations, &page[0].digest), (1, &published.digest));
        let (page, is_more) = f.store.research_days(Some(day(3)), 3).await.unwrap();
        assert_eq!((page.len(), page[0].day, is_more), (1, day(4), false));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_one_publishes_a_day() {
    on_both(async |f| {
        let alpha = Desk::new(f, "alpha").await;
        alpha.take_part(InResearch::Named).await;
        go_to_publication(f, day(1)).await;
        let another = f.another().await;
        let (one, other) = tokio::join!(f.store.publish_research_day(), another.publish_research_day());
        let mut published = [one.unwrap(), other.unwrap()];
        published.sort();
        assert_eq!(published, [None, Some(day(1))]);
        assert_eq!(f.store.research_days(None, 10).await.unwrap().0.len(), 1);
        another.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_parties_take_part_and_no_more() {
    on_both(async |f| {
        for number in 0..RESEARCH_PARTIES_MAX {
            let (party, ..) = f.party(&format!("p{number}")).await;
            f.store.set_in_research(party.id, InResearch::Named).await.unwrap();
        }
        let (late, ..) = f.party("late").await;
        let refused = f.store.set_in_research(late.id, InResearch::Named).await;
        assert!(matches!(refused, Err(StoreError::ResearchPartyCount)), "{refused:?}");
        f.store.set_in_research(late.id, InResearch::Absent).await.unwrap();
        let first = f.store.party_named(&n("p0")).await.unwrap();
        f.store.set_in_research(first.id, InResearch::Named).await.unwrap();
        f.store.set_in_research(first.id, InResearch::Absent).await.unwrap();
        f.store.set_in_research(late.id, InResearch::Named).await.unwrap();
        go_to_publication(f, day(1)).await;
        f.store.publish_research_day().await.unwrap();
        let publication = publication(f, day(1)).await;
        assert_eq!(publication.populations.len(), RESEARCH_PARTIES_MAX);
        let bytes = f.store.research_day(day(1)).await.unwrap().unwrap().document.len();
        assert!(bytes < 2 << 20, "{bytes} bytes");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_is_in_whole_days_for_as_long_as_it_agrees() {
    on_both(async |f| {
        let (alpha, beta) = (Desk::new(f, "alpha").await, Desk::new(f, "beta").await);
        assert_eq!(f.store.in_research(alpha.party.id).await.unwrap(), InResearch::Absent);
        alpha.take_part(InResearch::Named).await;
        go_to(f, day(1), HOURS(12)).await;
        beta.take_part(InResearch::Named).await;
        // Whoever says it again takes part since the first time.
        go_to(f, day(2), HOURS(12)).await;
        alpha.take_part(InResearch::Named).await;
        let parties = async |number| {
            let publication = publication(f, day(number)).await;
            publication
                .populations
                .iter()
                .map(|of| of.party.clone())
                .collect::<Vec<_>>()
        };
        go_to_publication(f, day(2)).await;
        while f.store.publish_research_day().await.unwrap().is_some() {}
        assert_eq!(parties(1).await, ["alpha"], "beta's was no whole day");
        assert_eq!(parties(2).await, ["alpha", "beta"]);
        alpha.take_part(InResearch::Absent).await;
        go_to_publication(f, day(3)).await;
        f.store.publish_research_day().await.unwrap();
        assert_eq!(parties(3).await, ["beta"], "of a day that is over, too");
        f.store.revoke_party(beta.party.id).await.unwrap();
        go_to_publication(f, day(4)).await;
        f.store.publish_research_day().await.unwrap();
        assert_eq!(parties(4).await, Vec::<String>::new());
        assert_eq!(parties(2).await, ["alpha", "beta"], "what is published stays");

        let all = PageOf {
            team: None,
            after: std::collections::BTreeMap::new(),
            limit: 100,
        };
        let page = f.store.audit_page(&all).await.unwrap();
        let details = page.records.iter().map(|of| of.record.detail.as_str());
        let audited: Vec<&str> = details.filter(|detail| detail.starts_with("in research")).collect();
        let (named, absent) = ("in research: named", "in research: absent");
        assert_eq!(audited, [named, named, named, absent]);
    })
    .await;
}

/// The bytes of a day of one history, on every database.
async fn bytes(small: u128, hidden: bool) -> Vec<String> {
    let documents = Mutex::new(Vec::new());
    on_both(async |f| {
        let (alpha, beta) = (Desk::new(f, "alpha").await, Desk::new(f, "beta").await);
        alpha.take_part(InResearch::Named).await;
        go_to(f, day(1), HOURS(5)).await;
        alpha.ring((1..=30).chain(101..=100 + small)).await;
        for family in 1..=14 {
            alpha.decide(family, Verdict::Violating).await;
        }
        for family in 101..=100 + small {
            alpha.decide(family, Verdict::Newsworthy).await;
        }
        if hidden {
            beta.ring(501..=540).await;
            for family in 501..=515 {
                beta.decide(family, Verdict::Violating).await;
            }
        }
        go_to_publication(f, day(1)).await;
        f.store.publish_research_day().await.unwrap();
        let published = f.store.research_day(day(1)).await.unwrap().unwrap();
        documents.lock().unwrap().push(published.document);
    })
    .await;
    documents.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_tell_nothing_of_those_who_do_not_take_part_and_not_which_small_number_it_is() {
    let told = bytes(0, false).await;
    assert!(
        told[0].contains("\"shown\":\"30\"") && told[0].contains("\"shown\":\"15\""),
        "{}",
        told[0]
    );
    for (small, hidden) in [(0, true), (1, false), (2, true)] {
        for other in bytes(small, hidden).await {
            assert_eq!(other, told[0], "{small} more, with hidden events: {hidden}");
        }
    }
    // The test would see it.
    assert_ne!(bytes(10, false).await[0], told[0]);
}
