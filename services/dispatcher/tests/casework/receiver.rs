//! Somebody who is told: an HTTP server that keeps what it gets and answers as it is told to.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use serde_json::Value;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Came {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What to answer.
#[derive(Clone, Debug)]
pub enum Answering {
    /// This status with these headers.
    With(u16, Vec<(&'static str, String)>),
    /// Well, with a body that does not end.
    Endless,
    /// Never.
    Never,
}

#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    came: Arc<Mutex<Vec<Came>>>,
    answering: Arc<Mutex<Answering>>,
}

impl Receiver {
    pub async fn start() -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Receiver {
            url: format!("http://{}", listener.local_addr().unwrap()),
            came: Arc::default(),
            answering: Arc::new(Mutex::new(Answering::With(204, Vec::new()))),
        };
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub fn answer(&self, status: u16, headers: Vec<(&'static str, String)>) {
        *self.answering.lock().unwrap() = Answering::With(status, headers);
    }

    pub fn pour(&self) {
        *self.answering.lock().unwrap() = Answering::Endless;
    }

    pub fn hang(&self) {
        *self.answering.lock().unwrap() = Answering::Never;
    }

    pub fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.came.lock().unwrap().len()
    }
}

impl Came {
    pub fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn receive(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let path = uri.path().to_owned();
    receiver.came.lock().unwrap().push(Came { path, headers, body });
    let answering = receiver.answering.lock().unwrap().clone();
    let (status, headers) = match answering {
        Answering::With(status, headers) => (status, headers),
        Answering::Never => return std::future::pending().await,
        Answering::Endless => {
            let chunk = || Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b' '; 4_096]));
            let chunks = futures::stream::repeat_with(chunk);
            return Response::new(Body::from_stream(chunks));
        }
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::empty()).unwrap()
}
