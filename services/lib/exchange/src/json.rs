//! Fields that come in more than one form.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::{Iso8601, Rfc3339};
use tocsin_model::Timestamp;

/// A number or its text: ids and times come as both.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Scalar<'a> {
    Whole(i64),
    Real(f64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

impl Scalar<'_> {
    /// As text.
    pub(crate) fn text(&self) -> String {
        match self {
            Scalar::Whole(number) => number.to_string(),
            Scalar::Real(number) => number.to_string(),
            Scalar::Text(text) => text.to_string(),
        }
    }

    /// As a time: seconds since 1970, or a date with its time. `None`: it is neither, or of before 1970, which no list was.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        match self {
            Scalar::Whole(seconds) => from_seconds(*seconds as f64),
            Scalar::Real(seconds) => from_seconds(*seconds),
            Scalar::Text(text) => time(text),
        }
    }
}

/// A time in text, as [`Scalar::time`].
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds);
    }
    let parsed = OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(text, &Iso8601::PARSING));
    let parsed = parsed.or_else(|_| time::PrimitiveDateTime::parse(text, &Iso8601::PARSING).map(|at| at.assume_utc()));
    from_seconds(parsed.ok()?.unix_timestamp() as f64)
}

fn from_seconds(seconds: f64) -> Option<Timestamp> {
    // Until the year 9999.
    (0.0..253_402_300_800.0)
        .contains(&seconds)
        .then_some(Timestamp((seconds * 1_000.0) as i64))
}

/// Tags: a list of texts, or ThreatExchange's `{"data": [{"text": ...}]}`, or null.
pub(crate) fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    struct Tag {
        text: String,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Tags {
        Plain(Vec<String>),
        Edges { data: Vec<Tag> },
    }
    Ok(match Option::<Tags>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(Tags::Plain(tags)) => tags,
        Some(Tags::Edges { data }) => data.into_iter().map(|tag| tag.text).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_in_several_forms() {
        let at = Some(Timestamp(1_593_631_875_000));
        for text in [
            "1593631875",
            "1593631875.0",
            "2020-07-01T19:31:15Z",
            "2020-07-01T19:31:15+0000",
            "2020-07-01T21:31:15+02:00",
            "2020-07-01T19:31:15.000000",
        ] {
            assert_eq!(time(text), at, "{text}");
        }
        for text in ["", "soon", "-5", "1e300", "NaN"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
