//! Takes a body in, within its limits of size and time, and inflates it within a limit too.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tocsin_runtime::Problem;
use tocsin_runtime::problem::{BODY_TIMEOUT, BODY_TOO_LARGE, INVALID_BODY};

use crate::GatewayConfig;
use crate::inflate::{self, Inflated};
use crate::media::ContentEncoding;

/// Reads the whole body.
pub async fn read(body: Body, limits: &GatewayConfig) -> Result<Bytes, Problem> {
    let time_max = Duration::from_millis(limits.body_timeout_ms);
    match tokio::time::timeout(time_max, collect(body, limits.body_bytes_max)).await {
        Ok(result) => result,
        Err(_) => {
            Err(Problem::new(BODY_TIMEOUT).with_detail(format!("a body has {} ms to arrive", limits.body_timeout_ms)))
        }
    }
}

/// Unpacks a body. What it inflates to is bounded, whatever its size.
pub fn inflate(body: Bytes, encoding: ContentEncoding, limits: &GatewayConfig) -> Result<Bytes, Problem> {
    if encoding == ContentEncoding::Identity {
        return Ok(body);
    }
    let bytes_max = limits.inflated_bytes_max;
    match inflate::inflate(&body, bytes_max) {
        Inflated::Whole(inflated) => Ok(Bytes::from(inflated)),
        Inflated::TooLarge => Err(too_large("inflated body", bytes_max)),
        Inflated::Broken => Err(Problem::new(INVALID_BODY).with_detail("the body is not whole and valid gzip")),
    }
}

async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    // A length that is declared is refused before a byte of it is read.
    let declared = axum::body::HttpBody::size_hint(&body).lower();
    if declared > bytes_max as u64 {
        return Err(too_large("body", bytes_max));
    }
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(INVALID_BODY).with_detail("the body broke off"))?;
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else { continue };
        if collected.len() + data.len() > bytes_max {
            return Err(too_large("body", bytes_max));
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.freeze())
}

fn too_large(what: &str, bytes_max: usize) -> Problem {
    Problem::new(BODY_TOO_LARGE).with_detail(format!("a {what} has at most {bytes_max} bytes"))
}

#[cfg(test)]
mod tests {
    //! Goal: no body grows memory beyond its limit, packed or not.
    #![allow(clippy::unwrap_used)]

    use std::io::Write as _;

    use super::*;

    fn limits() -> GatewayConfig {
        GatewayConfig {
            body_bytes_max: 1_024,
            inflated_bytes_max: 4_096,
            body_timeout_ms: 20,
            ..GatewayConfig::default()
        }
    }

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        Bytes::from(encoder.finish().unwrap())
    }

    fn inflated(body: Bytes) -> Result<Bytes, String> {
        inflate(body, ContentEncoding::Gzip, &limits()).map_err(|problem| problem.code().to_owned())
    }

    #[test]
    fn gzip_is_unpacked_within_its_limit() {
        assert_eq!(inflated(gzip(b"abc")).unwrap(), "abc");
        assert_eq!(inflated(gzip(&[0; 4_096])).unwrap().len(), 4_096);
        assert_eq!(inflated(gzip(&[0; 4_097])).unwrap_err(), "body_too_large");
        assert_eq!(inflated(gzip(&vec![0; 50_000_000])).unwrap_err(), "body_too_large");
        let two_members = [gzip(&[0; 3_000]), gzip(&[0; 3_000])].concat();
        assert_eq!(inflated(two_members.into()).unwrap_err(), "body_too_large");
    }

    #[test]
    fn what_is_not_gzip_is_refused() {
        let whole = gzip(b"abcdefgh");
        assert_eq!(inflated(Bytes::from_static(b"abc")).unwrap_err(), "invalid_body");
        assert_eq!(inflated(whole.slice(..whole.len() - 3)).unwrap_err(), "invalid_body");
        assert_eq!(inflated(Bytes::new()).unwrap_err(), "invalid_body");
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_declared_or_not() {
        let read = async |body| read(body, &limits()).await.map_err(|problem| problem.code().to_owned());
        assert_eq!(read(Body::from(vec![0; 1_024])).await.unwrap().len(), 1_024);
        assert_eq!(read(Body::from(vec![0; 1_025])).await.unwrap_err(), "body_too_large");
        let chunks = futures::stream::iter((0..3).map(|_| Ok::<_, std::io::Error>(vec![0; 512])));
        assert_eq!(read(Body::from_stream(chunks)).await.unwrap_err(), "body_too_large");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_times_out() {
        let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let problem = read(Body::from_stream(never), &limits()).await.unwrap_err();
        assert_eq!((problem.code(), problem.status().as_u16()), ("body_timeout", 408));
    }
}
