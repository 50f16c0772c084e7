use axum::http::{HeaderMap, header};
use tocsin_runtime::Problem;
use tocsin_runtime::problem::UNSUPPORTED_MEDIA_TYPE;

/// What a body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`: one event, or an array.
    Json,
    /// `application/x-ndjson`: one event a line.
    Ndjson,
    /// `application/avro` or `avro/binary`: one record of an event or of a batch.
    Avro,
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentEncoding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
}

/// The media type a request declares. Its parameters say nothing: JSON is UTF-8 (RFC 8259).
pub fn media_type(headers: &HeaderMap) -> Result<MediaType, Problem> {
    let text = text_of(headers, header::CONTENT_TYPE);
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Ok(MediaType::Json),
        "application/x-ndjson" => Ok(MediaType::Ndjson),
        "application/avro" | "avro/binary" => Ok(MediaType::Avro),
        _ => Err(Problem::new(UNSUPPORTED_MEDIA_TYPE)
            .with_detail("Content-Type is application/json, application/x-ndjson, application/avro or avro/binary")),
    }
}

/// The encoding a request declares.
pub fn content_encoding(headers: &HeaderMap) -> Result<ContentEncoding, Problem> {
    match text_of(headers, header::CONTENT_ENCODING)
        .trim()
        .to_ascii_lowercase()
        .as_str()
    {
        "" | "identity" => Ok(ContentEncoding::Identity),
        "gzip" | "x-gzip" => Ok(ContentEncoding::Gzip),
        _ => Err(Problem::new(UNSUPPORTED_MEDIA_TYPE).with_detail("Content-Encoding is identity or gzip, once")),
    }
}

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn declared_types_are_told_apart() {
        let read = |text| media_type(&with(header::CONTENT_TYPE, text)).map_err(|problem| problem.code().to_owned());
        assert_eq!(read("application/json; charset=utf-8"), Ok(MediaType::Json));
        assert_eq!(read("Application/X-NDJSON"), Ok(MediaType::Ndjson));
        assert_eq!(read("avro/binary"), Ok(MediaType::Avro));
        assert_eq!(read("text/plain"), Err("unsupported_media_type".to_owned()));
        assert!(media_type(&HeaderMap::new()).is_err());
    }

    #[test]
    fn encodings_are_gzip_or_none() {
        let read = |text| content_encoding(&with(header::CONTENT_ENCODING, text)).ok();
        assert_eq!(read("gzip"), Some(ContentEncoding::Gzip));
        assert_eq!(read("identity"), Some(ContentEncoding::Identity));
        assert_eq!(
            content_encoding(&HeaderMap::new()).ok(),
            Some(ContentEncoding::Identity)
        );
        assert_eq!(read("br"), None);
        assert_eq!(read("gzip, gzip"), None);
    }
}
