//! Goal: a party reads one page of accounts at a time, and a key that is revoked while it waits for its page is told nothing.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use reqwest::{Method, StatusCode};
use tocsin_log::{Log, LogDecorator, LogError, SharedLog, TailReader, TopicPartition};
use tocsin_model::Scope;
use tocsin_store::{KeySubject, Role, Roles};
use tocsin_wire::topics;

use crate::accounts::{ALPHA, accounts_of, hex, path_of, upload};
use crate::bench::Bench;

/// A log of which readers of ingest topics wait until they are let through.
struct Gated {
    inner: SharedLog,
    entered: Mutex<Sender<()>>,
    gate: Mutex<Receiver<()>>,
}

impl LogDecorator for Gated {
    fn inner(&self) -> &dyn Log {
        self.inner.as_ref()
    }

    fn tail_reader(&self, starts: &[(TopicPartition, u64)]) -> Result<Box<dyn TailReader>, LogError> {
        if starts
            .iter()
            .any(|(place, _)| place.topic.starts_with(topics::INGEST_PREFIX))
        {
            self.entered.lock().unwrap().send(()).unwrap();
            self.gate.lock().unwrap().recv().unwrap();
        }
        self.inner.tail_reader(starts)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_reads_one_page_at_a_time_and_a_key_that_is_revoked_meanwhile_is_told_nothing() {
    let mut bench = Bench::new().await;
    let content = 51;
    bench.upload("alpha", &upload(1, "alpha-video", content, Some(9)));
    bench.rings(&[content], Scope::All);
    let ((entered, has_entered), (open, gate)) = (channel(), channel());
    bench.log = Arc::new(Gated {
        inner: bench.log.clone(),
        entered: Mutex::new(entered),
        gate: Mutex::new(gate),
    });
    let running = bench.start().await;
    let case = path_of(&running, &bench.alpha, content).await;
    // Once who belongs to which family is read, the first is let through.
    open.send(()).unwrap();
    accounts_of(&running, &bench.alpha, &case, 1).await;
    has_entered.recv().unwrap();
    let path = format!("{case}/accounts");
    let moderator = KeySubject::Party(ALPHA);
    let (id, key) = bench
        .store
        .issue_key(moderator, Roles::of(&[Role::Moderator]))
        .await
        .unwrap();
    let request = running
        .client
        .get(format!("{}{path}", running.address))
        .bearer_auth(key.expose());
    let first = tokio::spawn(request.send());
    let _has_entered =
        tokio::task::spawn_blocking(move || has_entered.recv_timeout(crate::bench::WAIT_MAX).map(|()| has_entered))
            .await
            .unwrap()
            .unwrap();
    running
        .refused(Method::GET, &path, &bench.alpha, None, (429, "accounts_busy"))
        .await;
    // Before anything is read for it.
    let nowhere = format!("/v1/cases/{}/accounts", "0".repeat(32));
    running
        .refused(Method::GET, &nowhere, &bench.alpha, None, (429, "accounts_busy"))
        .await;
    running
        .metric("tocsin_dispatcher_account_readings_total{outcome=\"busy\"}", |count| {
            count == 2.0
        })
        .await;
    bench.store.revoke_key(id).await.unwrap();
    open.send(()).unwrap();
    let answer = first.await.unwrap().unwrap();
    let (status, said) = (answer.status(), answer.text().await.unwrap());
    assert!(
        status == StatusCode::UNAUTHORIZED && !said.contains("accounts"),
        "{status} {said}"
    );
    // The turn is free again.
    open.send(()).unwrap();
    let told = running.get(&path, &bench.alpha).await;
    assert_eq!(told["accounts"][0]["account"], hex(&[9; 16]));
    running.stop().await;
}
