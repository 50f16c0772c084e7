/// An address that mail goes to or comes from: `local@domain`, ASCII alone, without quotes, comments and address literals (RFC 5321, section 4.1.2, of it
/// `Dot-string` and `Domain`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mailbox {
    text: String,
    at: usize,
}

const LOCAL_BYTES_MAX: usize = 64;
/// Of a path with its brackets 256 bytes (RFC 5321, section 4.5.3.1.3).
const BYTES_MAX: usize = 254;

impl Mailbox {
    pub(crate) fn parse(text: &str) -> Option<Mailbox> {
        let (local, domain) = text.rsplit_once('@')?;
        let is_atom = |part: &str| {
            let is_text = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
            !part.is_empty() && part.bytes().all(is_text)
        };
        let is_label = |part: &str| {
            let is_text = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            let fits = (1..=63).contains(&part.len()) && part.bytes().all(is_text);
            fits && !part.starts_with('-') && !part.ends_with('-')
        };
        let fits = text.len() <= BYTES_MAX && local.len() <= LOCAL_BYTES_MAX;
        let is_one = fits && local.split('.').all(is_atom) && domain.split('.').all(is_label);
        is_one.then(|| Mailbox {
            text: text.to_owned(),
            at: local.len(),
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }
}

#[cfg(test)]
mod tests {
    //! Goal: nothing in an address ends its line, names a second one or is read as a command.

    use super::*;

    #[test]
    fn an_address_is_plain_or_none() {
        for good in ["duty@north.example", "a.b+c@x.y", "o'neil_1@localhost", "a@b-c.example"] {
            assert_eq!(Mailbox::parse(good).as_ref().map(Mailbox::as_str), Some(good));
        }
        assert_eq!(Mailbox::parse("a@b.c").as_ref().map(Mailbox::domain), Some("b.c"));
        let long = format!("{}@b.example", "a".repeat(65));
        let longer = format!("a@{}", vec!["a".repeat(60); 5].join("."));
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b\r\n",
            "a@b\nRCPT TO:<c@d>",
            "<a@b>",
            "A <a@b>",
            "a@b,c@d",
            "\"a\"@b",
            "a..b@c",
            ".a@b",
            "a@.b",
            "a@b..c",
            "a@-b",
            "a@[127.0.0.1]",
            "a@b\0",
            "\u{e4}@b",
            "a@b\u{fc}",
            &long,
            &longer,
        ] {
            assert_eq!(Mailbox::parse(bad), None, "{bad:?}");
        }
    }
}
