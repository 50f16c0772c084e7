//! Accepts connections and serves them (HTTP/1.1), within limits, until it is asked to stop.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::Shutdown;
use crate::problem::{self, Problem};
use crate::tls::{Accepted, Accepting, ClientCertificate, Tls};
use crate::write_deadline::WriteDeadline;

/// What connections may cost.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The most connections that are open; more wait with the system.
    connections_max: usize,
    /// How long the head of a request may take to arrive: a client that sends none holds a connection no longer.
    head_time_max: Duration,
    /// How long a client may take nothing while an answer waits. More than readers of a stream have, who are first told why they are sent away.
    write_time_max: Duration,
    /// How long what is being answered goes on when the client's certificate is over.
    expired_time_max: Duration,
}

const LIMITS: Limits = Limits {
    connections_max: 16_384,
    head_time_max: Duration::from_secs(20),
    write_time_max: Duration::from_secs(90),
    expired_time_max: Duration::from_secs(10),
};

/// How long to wait after the system refused a connection: it has no files left, and asking at once would spin.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// Serves `router` until `shutdown` is requested, then finishes the requests in hand. Unknown routes and methods get a problem document.
/// A response without an end, such as a stream of events, must heed `shutdown` itself.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    serve_whole(listener, whole(router), shutdown).await;
}

/// The routes, with a problem document for unknown routes and methods. A layer that is put around it is around those too.
pub fn whole(router: Router) -> Router {
    router
        .fallback(async || Problem::new(problem::NOT_FOUND))
        .method_not_allowed_fallback(async || Problem::new(problem::METHOD_NOT_ALLOWED))
}

/// As [`serve`], of routes that are [`whole`].
pub async fn serve_whole(listener: TcpListener, router: Router, shutdown: Shutdown) {
    serve_within(LIMITS, listener, None, router, shutdown).await;
}

/// As [`serve_whole`], over TLS. Requests on a connection with a client certificate have it in their extensions ([`ClientCertificate`]), and the connection
/// ends when the certificate does. The server's own certificate is the one that the files hold at the time.
pub async fn serve_tls(listener: TcpListener, tls: Tls, router: Router, shutdown: Shutdown) {
    let accepting = Some(tls.accepting());
    let serving = serve_within(LIMITS, listener, accepting, router, shutdown.clone());
    tokio::join!(serving, tls.follow(shutdown));
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    tls: Option<Accepting>,
    router: Router,
    shutdown: Shutdown,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = shutdown.requested() => break,
        };
        match accepted {
            Ok((stream, place)) => {
                let conversation = Conversation {
                    limits,
                    router: router.clone(),
                    shutdown: shutdown.clone(),
                };
                let (stream, tls) = (WriteDeadline::new(stream, limits.write_time_max), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => conversation.hold(stream, None).await,
                        Some(tls) => conversation.hold_tls(stream, &tls).await,
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the system refused a connection");
                tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .expect("nobody closes the semaphore");
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

/// What is served on one connection.
struct Conversation {
    limits: Limits,
    router: Router,
    shutdown: Shutdown,
}

impl Conversation {
    /// Nothing was asked for before the handshake is done, so a stop waits for none.
    async fn hold_tls(self, stream: WriteDeadline<TcpStream>, tls: &Accepting) {
        let accepted = tokio::select! {
            accepted = tls.accept(stream) => accepted,
            () = self.shutdown.requested() => None,
        };
        if let Some(Accepted { stream, certificate }) = accepted {
            self.hold(stream, certificate).await;
        }
    }

    async fn hold<S>(self, stream: S, certificate: Option<ClientCertificate>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let Conversation {
            limits,
            router,
            shutdown,
        } = self;
        let valid_for = certificate
            .as_ref()
            .map(|certificate| certificate.valid_for(SystemTime::now()));
        let routes = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: Request<Incoming>| {
            if let Some(certificate) = valid(certificate.as_ref(), SystemTime::now()) {
                request.extensions_mut().insert(certificate.clone());
            }
            routes.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time_max)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let expired = async {
            match valid_for {
                Some(valid_for) => tokio::time::sleep(valid_for).await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.requested() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = expired => {
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(limits.expired_time_max, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = ended {
            // Clients go away as they please.
            tracing::debug!(error = crate::roles::chain(&error), "a connection broke off");
        }
    }
}

/// A certificate that is still valid. The end of the connection is timed by a clock that stands still while the machine sleeps, and that nobody sets.
fn valid(certificate: Option<&ClientCertificate>, now: SystemTime) -> Option<&ClientCertificate> {
    certificate.filter(|certificate| !certificate.valid_for(now).is_zero())
}

#[cfg(test)]
mod tests {
    //! Goal: clients that say nothing hold nothing for long, and a stop waits for those that were being served.
    #![allow(clippy::unwrap_used)]

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_util::io::ReaderStream;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn connect(limits: Limits, router: Router) -> (TcpStream, Shutdown, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let server = tokio::spawn(serve_within(limits, listener, None, router, shutdown.clone()));
        (TcpStream::connect(address).await.unwrap(), shutdown, server)
    }

    async fn read_to_end(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let read = stream.read_to_string(&mut text);
        tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        text
    }

    #[test]
    fn a_certificate_that_is_over_by_the_wall_clock_speaks_for_nobody() {
        let not_after = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let certificate = ClientCertificate {
            public_key: tocsin_model::PublicKeyDigest([1; 32]),
            subject: "CN=machine".to_owned(),
            not_after,
        };
        let shown = |now| valid(Some(&certificate), now).is_some();
        assert!(shown(not_after - Duration::from_millis(1)));
        assert!(!shown(not_after) && !shown(not_after + Duration::from_secs(86_400)));
        assert!(valid(None, not_after).is_none());
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_ends_the_connection() {
        let limits = Limits {
            connections_max: 1,
            head_time_max: Duration::from_millis(30),
            ..LIMITS
        };
        let (mut slow, _shutdown, _server) = connect(limits, Router::new()).await;
        slow.write_all(b"GET / HT").await.unwrap();
        let mut next = TcpStream::connect(slow.peer_addr().unwrap()).await.unwrap();
        next.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        // There is one place only: the second is served because the first was sent away.
        assert!(read_to_end(&mut next).await.starts_with("HTTP/1.1 404"));
        read_to_end(&mut slow).await;
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_sent_away() {
        let limits = Limits {
            connections_max: 1,
            write_time_max: Duration::from_millis(200),
            ..LIMITS
        };
        let endless = async || axum::body::Body::from_stream(ReaderStream::new(tokio::io::repeat(7)));
        let router = Router::new().route("/endless", get(endless));
        let (mut client, _shutdown, _server) = connect(limits, router).await;
        client
            .write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        // Far more than the system's buffers hold: as long as it is taken, it is sent.
        let mut bytes = vec![0; 1 << 20];
        for _ in 0..24 {
            tokio::time::timeout(PATIENCE, client.read_exact(&mut bytes))
                .await
                .unwrap()
                .unwrap();
        }
        let address = client.peer_addr().unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        // There is one place only: the second is served because the first, which reads no more, was sent away.
        assert!(read_to_end(&mut next).await.starts_with("HTTP/1.1 404"));
    }

    #[tokio::test]
    async fn a_request_in_hand_is_finished_before_the_stop() {
        let reached = Arc::new(tokio::sync::Notify::new());
        let finish = Arc::new(tokio::sync::Notify::new());
        let (entered, go_on) = (Arc::clone(&reached), Arc::clone(&finish));
        let handler = move || {
            let (entered, go_on) = (Arc::clone(&entered), Arc::clone(&go_on));
            async move {
                entered.notify_one();
                go_on.notified().await;
                "done"
            }
        };
        let (mut stream, shutdown, server) = connect(LIMITS, Router::new().route("/", get(handler))).await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        tokio::time::timeout(PATIENCE, reached.notified()).await.unwrap();
        shutdown.request();
        finish.notify_one();
        assert!(read_to_end(&mut stream).await.ends_with("done"));
        tokio::time::timeout(PATIENCE, server).await.unwrap().unwrap();
    }
}
