use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tocsin_model::{ContentHash, FamilyId};

use crate::CaseId;

/// How many bytes the address of a tool may have.
pub const TOOL_BYTES_MAX: usize = 512;

/// Where a platform's own people look at a content in the platform's own tool: an address with places for what it is about. Nothing is ever fetched
/// from it; it is shown to whoever works on a case of that platform's party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolAddress(String);

/// What an address of a tool must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolAddressError {
    /// It is empty or too long.
    #[error("an address of a tool has 1 to {TOOL_BYTES_MAX} bytes")]
    Length,
    /// Anything else than `https`.
    #[error("an address of a tool begins with https:// and a host")]
    Scheme,
    /// A character that no URL has.
    #[error("an address of a tool has the characters of a URL alone, and places in braces")]
    Character,
    /// A place of another name.
    #[error("the places of an address are {{hash}}, {{algorithm}}, {{family}} and {{case}}")]
    Place,
}

/// What stands for itself in any part of a URL (RFC 3986, section 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PLACES: [&str; 4] = ["hash", "algorithm", "family", "case"];

impl ToolAddress {
    /// The text it was made of.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address for this content. What is put in is percent-encoded: a content may be known by a URL alone.
    pub fn of(&self, hash: &ContentHash, family: FamilyId, case: CaseId) -> String {
        let values = [
            utf8_percent_encode(&hash.value_text(), ESCAPED).to_string(),
            hash.algorithm().name().to_owned(),
            family.to_string(),
            case.to_string(),
        ];
        let places = PLACES.iter().zip(values);
        places.fold(self.0.clone(), |address, (place, value)| {
            address.replace(&format!("{{{place}}}"), &value)
        })
    }
}

impl FromStr for ToolAddress {
    type Err = ToolAddressError;

    fn from_str(text: &str) -> Result<ToolAddress, ToolAddressError> {
        if text.is_empty() || text.len() > TOOL_BYTES_MAX {
            return Err(ToolAddressError::Length);
        }
        let host = text.strip_prefix("https://").ok_or(ToolAddressError::Scheme)?;
        if !host.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            return Err(ToolAddressError::Scheme);
        }
        let mut rest = PLACES
            .iter()
            .fold(text.to_owned(), |rest, place| rest.replace(&format!("{{{place}}}"), ""));
        if rest.contains(['{', '}']) {
            return Err(ToolAddressError::Place);
        }
        // RFC 3986: unreserved, reserved and percent-encoded.
        rest.retain(|c| !(c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c)));
        match rest.is_empty() {
            true => Ok(ToolAddress(text.to_owned())),
            false => Err(ToolAddressError::Character),
        }
    }
}

impl fmt::Display for ToolAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tocsin_model::{Algorithm, ContentId};

    #[test]
    fn places_are_filled_with_what_the_case_is_about() {
        let address: ToolAddress = "https://review.example/find?{algorithm}={hash}#{family}-{case}"
            .parse()
            .unwrap();
        let of = |algorithm, value: &str| {
            let hash = ContentHash::parse(algorithm, value, None).unwrap();
            address.of(&hash, FamilyId(ContentId(7)), CaseId(9))
        };
        let filled = of(Algorithm::Sha256, &"ab".repeat(32));
        let expected = format!(
            "https://review.example/find?sha256={}#{:032x}-{:032x}",
            "ab".repeat(32),
            7,
            9
        );
        assert_eq!(filled, expected);
        let of_url = of(Algorithm::Url, "https://a.example/{case}?b=c&d");
        assert!(
            of_url.contains("url=https%3A%2F%2Fa.example%2F%7Bcase%7D%3Fb%3Dc%26d#"),
            "{of_url}"
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, error) in [
            ("", ToolAddressError::Length),
            (
                &format!("https://a.example/{}", "x".repeat(TOOL_BYTES_MAX)),
                ToolAddressError::Length,
            ),
            ("http://a.example/", ToolAddressError::Scheme),
            ("javascript:alert(1)", ToolAddressError::Scheme),
            ("https://{hash}", ToolAddressError::Scheme),
            ("https:///path", ToolAddressError::Scheme),
            ("https://a.example/{account}", ToolAddressError::Place),
            ("https://a.example/{hash", ToolAddressError::Place),
            ("https://a.example/ {hash}", ToolAddressError::Character),
            ("https://a.example/\"><b>", ToolAddressError::Character),
        ] {
            assert_eq!(text.parse::<ToolAddress>(), Err(error), "{text}");
        }
    }
}
