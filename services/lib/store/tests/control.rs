//! Goal: one dispatcher at a time sets page thresholds, from every episode's highest score; and the watch list tells each change until it is
//! published.
#![allow(clippy::unwrap_used, dead_code)]

mod fixture;

use fixture::{START, alert, n, on_both};
use tocsin_model::{
    Alert, AlertId, AlertLevel, Algorithm, BetaLaw, ContentHash, GammaLaw, Milliseconds, PlatformId, PlatformNull,
    Scope, Severity, Timestamp,
};
use tocsin_store::{PageEpisode, Threshold};

const LEASE: Milliseconds = Milliseconds::from_seconds(15);

fn scored(number: u128, family: u128, level: AlertLevel, page_score: f64, paged: bool) -> Alert {
    Alert {
        id: AlertId(number),
        at: Timestamp(START.0 + number as i64),
        page_score,
        page_threshold: 2.0,
        paged,
        ..alert(family, Scope::All, level, 1)
    }
}

fn threshold(page_threshold: f64) -> Threshold {
    Threshold {
        page_threshold,
        pages_per_day: 15.0,
        episodes: 3,
        effective_from: Timestamp(START.0 + 60_000),
        at: START,
        platforms: vec![PlatformNull {
            platform: PlatformId(7),
            hours: std::array::from_fn(|hour| page_threshold / (1.0 + hour as f64)),
            reuploads: BetaLaw::with(0.3, 7.0),
            base_rate: GammaLaw {
                copies: 0.1,
                hours: 3.7,
            },
        }],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_episode_keeps_its_highest_score_and_its_first_page() {
    on_both(async |f| {
        let alerts = [
            scored(1, 7, AlertLevel::Raised, 1.0, false),
            scored(2, 7, AlertLevel::Escalated, 5.0, true),
            scored(3, 7, AlertLevel::Sustained, 3.0, true),
            scored(4, 7, AlertLevel::Subsided, 9.0, true),
            scored(5, 8, AlertLevel::Raised, f64::INFINITY, false),
            Alert {
                page_threshold: 0.0,
                ..scored(6, 9, AlertLevel::Raised, 0.0, false)
            },
            scored(7, 6, AlertLevel::Raised, 0.5, false),
        ];
        f.store
            .apply_alerts(&alerts, tocsin_casework::UNREVIEWED_BELOW)
            .await
            .unwrap();
        f.store
            .apply_alerts(&alerts, tocsin_casework::UNREVIEWED_BELOW)
            .await
            .unwrap();
        let at = |number: i64| Timestamp(START.0 + number);
        let [first, second] = [
            PageEpisode {
                raised_at: at(1),
                peak: 5.0,
                paged_at: Some(at(2)),
            },
            PageEpisode {
                raised_at: at(7),
                peak: 0.5,
                paged_at: None,
            },
        ];
        assert_eq!(f.store.page_episodes(START).await.unwrap(), [first, second]);
        assert_eq!(f.store.page_episodes(at(2)).await.unwrap(), [second]);
        assert_eq!(f.store.forget_page_episodes(at(2)).await.unwrap(), 1);
        assert_eq!(f.store.page_episodes(START).await.unwrap(), [second]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_holder_calibrates_until_its_lease_is_over() {
    on_both(async |f| {
        let other = f.another().await;
        assert!(f.store.hold_calibrator("a", LEASE).await.unwrap());
        assert!(!other.hold_calibrator("b", LEASE).await.unwrap());
        assert!(f.store.hold_calibrator("a", LEASE).await.unwrap(), "it may hold on");
        assert_eq!(other.add_calibration("b", threshold(9.0)).await.unwrap(), None);
        let made = f.store.add_calibration("a", threshold(3.5)).await.unwrap().unwrap();
        assert_eq!((made.number, made.page_threshold), (1, 3.5));
        assert_eq!(made.platforms, threshold(3.5).platforms);
        f.clock.advance(LEASE);
        assert_eq!(
            f.store.add_calibration("a", threshold(1.0)).await.unwrap(),
            None,
            "it held too long"
        );
        assert!(other.hold_calibrator("b", LEASE).await.unwrap());
        // Whoever comes next finds what was made, and that it is still to be published.
        assert_eq!(other.latest_calibration().await.unwrap(), Some((made.clone(), false)));
        other.calibration_published(1).await.unwrap();
        assert_eq!(f.store.latest_calibration().await.unwrap(), Some((made, true)));
        let next = other.add_calibration("b", threshold(4.0)).await.unwrap().unwrap();
        assert_eq!(next.number, 2);
        assert_eq!(f.store.observing_since(START).await.unwrap(), START);
        assert_eq!(other.observing_since(Timestamp(START.0 + 5)).await.unwrap(), START);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_is_listed_while_any_source_lists_it() {
    on_both(async |f| {
        let store = &f.store;
        let hash = ContentHash::from_bytes(Algorithm::Sha256, vec![7; 32], None).unwrap();
        let grave = |number| Severity::new(number).unwrap();
        let (north, south) = (n("north"), n("south"));
        let next = async || store.watch_batch(10).await.unwrap();
        assert!(store.watch(&hash, &north, grave(2)).await.unwrap());
        assert!(
            !store.watch(&hash, &north, grave(2)).await.unwrap(),
            "listing again changes nothing"
        );
        assert!(!store.unwatch(&hash, &south).await.unwrap(), "it never listed it");
        let first = next().await.unwrap();
        assert_eq!(first.changes.len(), 1);
        assert_eq!(
            (first.changes[0].listed, &first.changes[0].hash),
            (Some(grave(2)), &hash)
        );

        // What changes while it is being published is still to come.
        assert!(store.watch(&hash, &south, grave(4)).await.unwrap());
        store.watch_published(&first).await.unwrap();
        let second = next().await.unwrap();
        assert_eq!(second.changes[0].listed, Some(grave(4)));
        assert!(second.changes[0].number > first.changes[0].number, "numbers only grow");
        store.watch_published(&second).await.unwrap();
        assert_eq!(next().await, None);
        assert_eq!(store.watch_listings(None, None, 10).await.unwrap().0.len(), 2);

        assert!(store.unwatch(&hash, &south).await.unwrap());
        assert_eq!(next().await.unwrap().changes[0].listed, Some(grave(2)));
        assert!(store.unwatch(&hash, &north).await.unwrap());
        let third = next().await.unwrap();
        assert_eq!((third.changes.len(), third.changes[0].listed), (1, None));
        assert!(third.changes[0].number > second.changes[0].number);
        store.watch_published(&third).await.unwrap();
        assert!(store.watch(&hash, &north, grave(1)).await.unwrap());
        assert!(next().await.unwrap().changes[0].number > third.changes[0].number);
    })
    .await;
}
