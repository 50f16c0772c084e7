use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tocsin_model::{BankName, Name};
use tocsin_runtime::Refusal;

/// What speaks at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FollowKind {
    /// ThreatExchange's `threat_updates`. `url`: that of the privacy group; credentials: an access token.
    ThreatExchange,
    /// The hash list of Tech Against Terrorism, version 2. `url`: where `token-auth/tcap/` and `api/` are; credentials: `user:password`.
    TechAgainstTerrorism,
    /// StopNCII. `url`: where `FetchHashes` is; credentials: `function key,subscription key`.
    #[serde(rename = "stopncii")]
    StopNcii,
}

/// A list elsewhere that is followed into a bank. An entry of `[[dispatcher.follow]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowConfig {
    /// `threat-exchange`, `tech-against-terrorism` or `stopncii`.
    pub kind: FollowKind,
    /// Where: see [`FollowKind`]. `https://...`; `http://` for a server on the same machine, or with `plain_http`.
    pub url: String,
    /// Whether credentials and hashes may cross a network in the open. Default: false.
    #[serde(default)]
    pub plain_http: bool,
    /// Into which bank; made when it is not there. No two lists share one.
    pub bank: String,
    /// The file that holds the credentials. It is read at each round, so they may be replaced.
    #[serde(default)]
    pub credentials_file: PathBuf,
    /// Or the variable of the environment.
    #[serde(default)]
    pub credentials_env: String,
    /// How long after a round the next begins, in seconds. 60 to 604,800; default 900.
    #[serde(default = "interval_default")]
    pub interval_s: u64,
}

/// The longest list of followed lists.
const FOLLOWS_MAX: usize = 64;

fn interval_default() -> u64 {
    900
}

impl FollowKind {
    /// The name of the source of a bank that is made for it.
    pub(super) fn source(self) -> Name {
        let name = match self {
            FollowKind::ThreatExchange => "threatexchange",
            FollowKind::TechAgainstTerrorism => "tech-against-terrorism",
            FollowKind::StopNcii => "stopncii",
        };
        name.parse().expect("these are names")
    }
}

impl FollowConfig {
    /// What is wrong with these.
    pub(crate) fn refusals(follows: &[FollowConfig]) -> Vec<Refusal> {
        let key = "dispatcher.follow";
        let mut refusals = Vec::new();
        if follows.len() > FOLLOWS_MAX {
            refusals.push(Refusal::new(key, format!("at most {FOLLOWS_MAX} lists are followed")));
        }
        for (place, follow) in follows.iter().enumerate() {
            let bank = &follow.bank;
            if let Err(error) = bank.parse::<BankName>() {
                refusals.push(Refusal::new(key, format!("bank: {error}")));
            }
            if follows[..place].iter().any(|other| other.bank == *bank) {
                refusals.push(Refusal::new(key, format!("two lists are followed into bank {bank}")));
            }
            let url = reqwest::Url::parse(&follow.url).ok();
            let is_web = |url: &reqwest::Url| matches!(url.scheme(), "https" | "http") && url.query().is_none();
            if !url.as_ref().is_some_and(is_web) {
                refusals.push(Refusal::new(key, "url: https://... without a query is wanted"));
            }
            let is_open = |url: &reqwest::Url| url.scheme() == "http" && !is_here(url);
            if url.as_ref().is_some_and(is_open) && !follow.plain_http {
                let reason = "url: http:// is for this machine alone; plain_http = true lets credentials cross a network in the open";
                refusals.push(Refusal::new(key, reason));
            }
            if follow.credentials_file.as_os_str().is_empty() == follow.credentials_env.is_empty() {
                let reason = "one of credentials_file and credentials_env is wanted";
                refusals.push(Refusal::new(key, reason));
            }
            refusals.extend(Refusal::outside("dispatcher.follow", follow.interval_s, 60..=604_800));
        }
        refusals
    }
}

/// Whether a URL names this machine: by an address of the loopback, or as `localhost` (RFC 6761, section 6.3).
pub(crate) fn is_here(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_checked() {
        let good = FollowConfig {
            kind: FollowKind::StopNcii,
            url: "https://lists.example/v1".to_owned(),
            plain_http: false,
            bank: "NCII".to_owned(),
            credentials_file: PathBuf::from("keys"),
            credentials_env: String::new(),
            interval_s: 60,
        };
        assert_eq!(FollowConfig::refusals(std::slice::from_ref(&good)), []);
        let wrong = FollowConfig {
            url: "ftp://lists.example".to_owned(),
            bank: "ncii".to_owned(),
            credentials_env: "KEYS".to_owned(),
            interval_s: 1,
            ..good.clone()
        };
        assert_eq!(FollowConfig::refusals(&[wrong]).len(), 4);
        assert_eq!(
            FollowConfig::refusals(&[good.clone(), good.clone()]).len(),
            1,
            "one bank, two lists"
        );
        let with = |url: &str, plain_http| FollowConfig {
            url: url.to_owned(),
            plain_http,
            ..good.clone()
        };
        for (url, plain_http, refused) in [
            ("http://127.0.0.1:8080/v1", false, 0),
            ("http://[::1]/v1", false, 0),
            ("http://localhost/v1", false, 0),
            ("http://lists.example/v1", false, 1),
            ("http://10.1.2.3/v1", false, 1),
            ("http://lists.example/v1", true, 0),
            ("ftp://lists.example/v1", true, 1),
        ] {
            assert_eq!(FollowConfig::refusals(&[with(url, plain_http)]).len(), refused, "{url}");
        }
        let text = "kind = 'threat-exchange'\nurl = 'https://a.example/1'\nbank = 'A'\ncredentials_env = 'T'";
        let read: FollowConfig = toml::from_str(text).unwrap();
        assert_eq!((read.kind, read.interval_s), (FollowKind::ThreatExchange, 900));
    }
}
