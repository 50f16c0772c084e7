//! Goal: what is malformed is refused before anything is asked of the database, and pages of filings are of what they were asked for.
use tocsin_casework::{Against, AppealRefusal};
use tocsin_model::PlatformId;
use tocsin_store::{AppealQuery, AppealState};

use crate::ANNA;
use crate::appeals::{decided, file, filing, refused};
use crate::fixture::on_both;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_is_refused_before_it_is_looked_for() {
    on_both(async |f| {
        let (team, ..) = decided(f, ANNA).await;
        for reference in ["a\0b", "", &"a".repeat(257)] {
            let refusal = file(&f.store, team, 3, &filing(reference, 3, Against::Block)).await;
            assert_eq!(refused(refusal), AppealRefusal::Malformed, "{reference:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_one_platform_is_of_that_platform() {
    on_both(async |f| {
        let (team, ..) = decided(f, ANNA).await;
        file(&f.store, team, 3, &filing("A-1", 3, Against::Block))
            .await
            .unwrap();
        let of = async |platform| {
            let query = AppealQuery {
                team,
                state: Some(AppealState::Open),
                case: None,
                platform: Some(PlatformId(platform)),
                limit: 10,
                after: None,
            };
            f.store.appeals(&query).await.unwrap().appeals.len()
        };
        assert_eq!((of(1).await, of(2).await), (1, 0));
    })
    .await;
}
