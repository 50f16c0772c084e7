use std::fmt;
use std::str::FromStr;

/// What names a public key: the SHA-256 of its SubjectPublicKeyInfo in DER, as RFC 7469, section 2.4 pins one. Certificates that are renewed over one key
/// pair have one and the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKeyDigest(pub [u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the digest of a public key has 64 lower-case hexadecimal digits")]
pub struct PublicKeyDigestError;

const DIGITS: usize = 64;

impl fmt::Display for PublicKeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKeyDigest({self})")
    }
}

impl FromStr for PublicKeyDigest {
    type Err = PublicKeyDigestError;
    fn from_str(text: &str) -> Result<PublicKeyDigest, PublicKeyDigestError> {
        let plain = |digit: &u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit);
        if text.len() != DIGITS || !text.as_bytes().iter().all(plain) {
            return Err(PublicKeyDigestError);
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |digit: u8| match digit {
                b'0'..=b'9' => digit - b'0',
                _ => digit - b'a' + 10,
            };
            *byte = digit(pair[0]) << 4 | digit(pair[1]);
        }
        Ok(PublicKeyDigest(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_and_no_other_spelling_of_it_does() {
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = (place * 37) as u8;
        }
        let text = PublicKeyDigest(bytes).to_string();
        assert_eq!(text.parse(), Ok(PublicKeyDigest(bytes)));
        for bad in [
            "",
            &text[1..],
            &format!("{text}0"),
            &text.to_uppercase(),
            &format!("+{}", &text[1..]),
            &"\u{e9}".repeat(32),
        ] {
            assert_eq!(bad.parse::<PublicKeyDigest>(), Err(PublicKeyDigestError), "{bad}");
        }
    }
}
