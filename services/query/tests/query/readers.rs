//! Goal: many readers of eight scopes over real sockets each get every frame of their scope, with its twenty families and no other's, while mixed
//! questions are answered. `examples/readers.rs` measures the same with ten thousand.

use crate::api::*;
use crate::crowd::*;
use crate::world::*;
use axum::http::StatusCode;
use tocsin_runtime::{Shutdown, http};
use tokio::net::TcpListener;

const READERS_OF_EACH: usize = 12;
const SECONDS: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_gets_every_frame_of_its_scope() {
    let mut crowd = Crowd::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shutdown = Shutdown::new();
    let server = tokio::spawn(http::serve(listener, crowd.router(), shutdown.clone()));
    let mut readers = Vec::new();
    for key in &crowd.keys {
        for _ in 0..READERS_OF_EACH {
            let mut socket = Socket::open(&address, key).await.unwrap();
            let first = socket.frame().await.unwrap();
            assert_eq!(
                (first.frames, first.families()),
                (0, usize::from(FAMILIES)),
                "its scope's, and no other's"
            );
            readers.push((socket, first.number));
        }
    }
    for second in 0..SECONDS {
        crowd.tell();
        let scope = (second % u64::from(SCOPES)) as u8;
        let key = Some(&*crowd.keys[usize::from(scope)]);
        let family = id(Crowd::content(scope, 3));
        for path in [
            "/v1/trending?window=5m".to_owned(),
            format!("/v1/families/{family}"),
            format!("/v1/families/{family}/series"),
            format!("/v1/compare?family={family}"),
        ] {
            let (status, answer) = get(&crowd.bare.router, key, &path).await;
            assert_eq!(status, StatusCode::OK, "{path} {answer}");
        }
        // Half of them read at once, the others when all is over.
        for (socket, last) in readers.iter_mut().step_by(2) {
            let frame = tokio::time::timeout(WAIT_MAX, socket.frame()).await.unwrap().unwrap();
            assert_eq!((frame.number, frame.frames), (*last + 1, 1));
            assert_eq!(frame.families(), usize::from(FAMILIES));
            *last = frame.number;
        }
    }
    let newest = readers[0].1;
    assert!(
        crowd.newest_frames().iter().all(|made| *made == newest),
        "none is missed"
    );
    for (socket, last) in readers.iter_mut().skip(1).step_by(2) {
        while *last < newest {
            let frame = tokio::time::timeout(WAIT_MAX, socket.frame()).await.unwrap().unwrap();
            assert_eq!(frame.number - frame.frames, *last, "none is missed");
            assert_eq!(frame.families(), usize::from(FAMILIES));
            *last = frame.number;
        }
    }
    let evicted = counted(&crowd.bare.registry, "tocsin_query_streams_evicted_total", None);
    assert_eq!(evicted, 0.0);
    drop(readers);
    shutdown.request();
    tokio::time::timeout(WAIT_MAX, server).await.unwrap().unwrap();
}
