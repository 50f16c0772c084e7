//! Which addresses are called. An endpoint's host is whatever its owner's DNS says at the moment, so every address is judged when it is
//! connected to, never the name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The networks that are called beside the public internet: those that an operator named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Networks(Vec<IpNet>);

impl Networks {
    /// The networks of this text: `10.0.0.0/8` and the like.
    pub(crate) fn parse(texts: &[String]) -> Result<Networks, String> {
        let parse = |text: &String| {
            text.parse()
                .map_err(|_| format!("{text:?} is no network: 10.0.0.0/8 or fd00::/8 is wanted"))
        };
        texts.iter().map(parse).collect::<Result<_, _>>().map(Networks)
    }

    /// Whether the operator named it.
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether an address belongs to the public internet: the registries of special-purpose addresses (RFC 6890 and what IANA added since)
/// name the others. Of IPv6 only global unicast (2000::/3) is public, so that an IPv4 address inside another one (mapped, translated,
/// 6to4, Teredo) is not.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        // This network, private use, loopback, link-local.
        [0 | 10 | 127, ..] | [169, 254, ..] | [192, 168, ..] => true,
        [172, second, ..] => (16..32).contains(&second),
        // Shared behind carriers' translators.
        [100, second, ..] => (64..128).contains(&second),
        // Protocol assignments, documentation, 6to4 relays, benchmarks.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        // Multicast, reserved, broadcast.
        [224..=255, ..] => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Protocol assignments (Teredo among them), documentation, 6to4.
        [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] => false,
        [0x3fff, 0..0x1000, ..] => false,
        [0x2000..0x4000, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    //! Goal: nothing inside a machine or a private network is called unless an operator named its network.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.254",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_operator_names_further_networks() {
        let named = Networks::parse(&["127.0.0.0/8".to_owned(), "fd00::/8".to_owned()]).unwrap();
        for (text, held) in [
            ("127.0.0.1", true),
            ("fd00::7", true),
            ("10.0.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
        ] {
            assert_eq!(named.holds(text.parse().unwrap()), held, "{text}");
        }
        assert!(
            Networks::parse(&["localhost".to_owned()])
                .unwrap_err()
                .contains("localhost")
        );
        assert!(Networks::default().is_empty());
    }
}
