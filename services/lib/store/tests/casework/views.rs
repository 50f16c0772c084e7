//! Goal: the views that were told of until a removal are kept with what confirms it, whichever process hears of it and however often, and nothing is kept of what
//! is told later or where no sample was taken.
use tocsin_casework::{Span, Tally, Viewed};
use tocsin_model::Milliseconds;

use crate::acknowledgements::{desk, hear, tally};
use crate::fixture::{START, on_both};

/// Posted at 0 s and removed at these seconds, and the latest sample was taken at `at`.
fn viewed(removals: &[i64], views: u64, at: i64) -> Tally {
    let from = START + Milliseconds::from_seconds(at);
    let to = from + Milliseconds::from_seconds(5);
    Tally {
        viewed: Some(Viewed {
            views,
            latest: Some(Span { from, to }),
        }),
        as_of: from,
        ..tally(&[0], removals)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_until_a_removal_are_kept_across_processes() {
    on_both(async |f| {
        let desk = desk(f).await;
        let decision = desk.remove(f).await;
        let other = f.another().await;
        let unsampled = Tally {
            as_of: START,
            ..tally(&[0], &[30])
        };
        let kept = async |content: u128| {
            let (told, _) = other.acknowledgements(decision, 10).await.unwrap();
            let of = told.iter().find(|of| of.content.0 == content).unwrap();
            of.acknowledgement.views
        };
        hear(&f.store, decision, &[desk.told(1, viewed(&[], 40, 5), true)]).await;
        assert_eq!(kept(1).await, Some((40, 40)), "as last heard of");
        hear(&other, decision, &[desk.told(1, viewed(&[], 90, 10), true)]).await;
        assert_eq!(kept(1).await, Some((90, 90)), "also where nothing else moves");
        hear(&f.store, decision, &[desk.told(1, viewed(&[], 60, 7), true)]).await;
        assert_eq!(kept(1).await, Some((90, 90)), "whoever is behind says nothing");

        // The first is certainly sampled before its removal, the second perhaps after it; the third is not sampled.
        hear(&f.store, decision, &[desk.told(2, viewed(&[], 7, 5), true)]).await;
        let removed = [
            desk.told(1, viewed(&[20], 100, 14), true),
            desk.told(2, viewed(&[20], 12, 20), true),
            desk.told(3, unsampled, true),
        ];
        let confirmed = hear(&other, decision, &removed).await.confirmed;
        assert_eq!(confirmed, 3);
        let expected = [Some((100, 100)), Some((7, 12)), None];
        for store in [&f.store, &other] {
            assert_eq!([kept(1).await, kept(2).await, kept(3).await], expected);
            hear(store, decision, &removed).await;
            hear(store, decision, &[desk.told(1, viewed(&[20], 500, 40), true)]).await;
            hear(store, decision, &[desk.told(1, viewed(&[20, 41], 700, 42), true)]).await;
        }
        assert_eq!(
            [kept(1).await, kept(2).await, kept(3).await],
            expected,
            "what is told later is not of before"
        );
        other.close().await;
    })
    .await;
}
