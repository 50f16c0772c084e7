//! What an endpoint's row means, checked when it is added and again whenever it is used.

use std::collections::BTreeMap;

use reqwest::Url;
use tocsin_casework::Team;
use tocsin_store::{EMAIL_ALERTS, EMAIL_ALERTS_SETTING, Endpoint, EndpointKind, NewEndpoint};
use tocsin_wire::topics;

use super::address::{Networks, is_public};
use super::coop::CoopSettings;
use super::email::Mailbox;
use super::http::literal;
use super::ozone::{OzoneInwards, OzoneSettings};
use super::ozone_decision::Telling;
use super::records::OspreyShape;
use super::signature::SigningSecret;
use crate::ozone::Taking;

/// The longest URL, name of a topic, setting or secret, in bytes.
const TEXT_BYTES_MAX: usize = 2_048;

/// Where to, and how.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Webhook {
        url: Url,
        secrets: Vec<SigningSecret>,
    },
    Kafka {
        topic: String,
    },
    Osprey {
        topic: String,
        shape: OspreyShape,
    },
    Coop {
        url: Url,
        api_key: String,
        settings: CoopSettings,
    },
    Ozone {
        url: Url,
        secret: String,
        settings: OzoneSettings,
    },
    Email {
        to: Mailbox,
    },
}

/// Why something is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointRefused {
    /// The URL is none that is called.
    #[error("{reason}")]
    Url {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name of a topic.
    #[error(
        "a topic has 1 to 249 letters, digits, '.', '_' and '-', and is none of Tocsin's own nor an inner one of Kafka's, which begin with '_'"
    )]
    Topic,
    /// An address that no mail is sent to.
    #[error("the target is one address, name@domain, in ASCII and without quotes")]
    Mailbox,
    /// Deliveries to topics of their own are for parties.
    #[error("an endpoint of kind kafka is of a party: its topic is named after it")]
    NoParty,
    /// The secret does not fit.
    #[error("{reason}")]
    Secret {
        /// What is wanted.
        reason: &'static str,
    },
    /// A setting that is missing.
    #[error("the setting {name} is missing: {meaning}")]
    MissingSetting {
        /// Its name.
        name: &'static str,
        /// What it is for.
        meaning: &'static str,
    },
    /// A setting that the kind does not have, or that means nothing.
    #[error("there is no setting {name:?} of this value for this kind")]
    Setting {
        /// Its name.
        name: String,
    },
    /// A text is too long.
    #[error("a URL, topic, setting or secret has at most {TEXT_BYTES_MAX} bytes and no control characters")]
    Text,
}

/// Whether this can be an endpoint, where an operator named these networks beside the public internet.
///
/// # Errors
/// What is wrong with it.
pub fn check_endpoint(endpoint: &NewEndpoint, networks: &[String]) -> Result<(), EndpointRefused> {
    let networks = Networks::parse(networks).unwrap_or_default();
    let secrets = [endpoint.secret.clone()];
    let target = Target::of(endpoint.kind, &endpoint.target, &endpoint.settings, &secrets)?;
    match (&target, endpoint.team) {
        (Target::Kafka { .. }, Team::Coordinators) => return Err(EndpointRefused::NoParty),
        (Target::Kafka { topic }, _) if topics::party_of_deliveries(topic).is_none() => {
            return Err(EndpointRefused::Topic);
        }
        _ => {}
    }
    match &target {
        Target::Webhook { url, .. } | Target::Coop { url, .. } | Target::Ozone { url, .. } => check_url(url, &networks),
        Target::Kafka { .. } | Target::Osprey { .. } | Target::Email { .. } => Ok(()),
    }
}

impl Target {
    /// What the parts of an endpoint mean together. The first secret is the one in force.
    pub(crate) fn of(
        kind: EndpointKind,
        target: &str,
        settings: &BTreeMap<String, String>,
        secrets: &[String],
    ) -> Result<Target, EndpointRefused> {
        let texts = [target].into_iter().chain(secrets.iter().map(String::as_str));
        let texts = texts.chain(settings.values().map(String::as_str));
        if texts
            .into_iter()
            .any(|text| text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control))
        {
            return Err(EndpointRefused::Text);
        }
        let settings = Settings(settings.clone());
        match kind {
            EndpointKind::Webhook => Target::webhook(target, settings, secrets),
            EndpointKind::Kafka => {
                settings.end()?;
                Ok(Target::Kafka { topic: topic(target)? })
            }
            EndpointKind::Osprey => Target::osprey(target, settings),
            EndpointKind::Coop => Target::coop(target, settings, secrets),
            EndpointKind::Ozone => Target::ozone(target, settings, secrets),
            EndpointKind::Email => Target::email(target, settings),
        }
    }

    fn webhook(target: &str, settings: Settings, secrets: &[String]) -> Result<Target, EndpointRefused> {
        settings.end()?;
        let reason = "a webhook's secret is whsec_ and 24 to 64 bytes in base64";
        let parsed = secrets.iter().map(|secret| SigningSecret::parse(secret));
        let secrets: Option<Vec<SigningSecret>> = parsed.collect();
        Ok(Target::Webhook {
            url: url(target)?,
            secrets: secrets
                .filter(|secrets| !secrets.is_empty())
                .ok_or(EndpointRefused::Secret { reason })?,
        })
    }

    fn osprey(target: &str, mut settings: Settings) -> Result<Target, EndpointRefused> {
        let shape = match settings.take("shape").as_deref() {
            None | Some("worker") => OspreyShape::Worker,
            Some("coordinator") => OspreyShape::Coordinator,
            Some(_) => {
                let name = "shape".to_owned();
                return Err(EndpointRefused::Setting { name });
            }
        };
        settings.end()?;
        let topic = topic(target)?;
        // An input or an inner topic of ours or of a drill would read it as something else, and so would one of Kafka's and of what runs beside it
        // (`__consumer_offsets`, `__transaction_state`, a registry's `_schemas`).
        if ["tocsin.", "drill.", "_"].iter().any(|inner| topic.starts_with(inner)) {
            return Err(EndpointRefused::Topic);
        }
        Ok(Target::Osprey { topic, shape })
    }

    fn email(target: &str, mut settings: Settings) -> Result<Target, EndpointRefused> {
        let alerts = settings.take(EMAIL_ALERTS_SETTING);
        if alerts.is_some_and(|alerts| !EMAIL_ALERTS.contains(&alerts.as_str())) {
            let name = EMAIL_ALERTS_SETTING.to_owned();
            return Err(EndpointRefused::Setting { name });
        }
        settings.end()?;
        let to = Mailbox::parse(target).ok_or(EndpointRefused::Mailbox)?;
        Ok(Target::Email { to })
    }

    fn coop(target: &str, mut settings: Settings, secrets: &[String]) -> Result<Target, EndpointRefused> {
        let coop = CoopSettings {
            item_type: settings.need("item_type", "the id of Coop's item type for spreading contents")?,
            reporter_type: settings.need("reporter_type", "the id of Coop's user type that Tocsin reports as")?,
            policy: settings.take("policy"),
        };
        settings.end()?;
        Ok(Target::Coop {
            url: below(target, "api/v1/report")?,
            api_key: secret(secrets, "Coop's API key")?,
            settings: coop,
        })
    }

    fn ozone(target: &str, mut settings: Settings, secrets: &[String]) -> Result<Target, EndpointRefused> {
        let created_by = settings.need("created_by", "the DID of the moderator that Tocsin acts as")?;
        let taking = Taking::take(&mut settings.0, &created_by);
        let telling = Telling::take(&mut settings.0);
        let (telling, is_telling_set) = telling.map_err(|name| EndpointRefused::Setting { name })?;
        let ozone = OzoneSettings {
            subject: settings.need("subject", "the DID of the account that stands for spreading contents")?,
            collection: settings.take("collection"),
            taking: taking.map_err(|name| EndpointRefused::Setting { name })?,
            created_by,
            telling,
        };
        settings.end()?;
        let is_nsid = |text: &String| {
            let is_part =
                |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            text.len() <= 317 && text.split('.').count() >= 3 && text.split('.').all(is_part)
        };
        if !ozone.collection.iter().all(is_nsid) {
            let name = "collection".to_owned();
            return Err(EndpointRefused::Setting { name });
        }
        // Of an account that stands for all families a decision would be about none. What is reported stands for itself.
        let takes_decisions = ozone.taking.as_ref().is_some_and(Taking::takes_decisions);
        let takes_reports = ozone.taking.as_ref().is_some_and(Taking::takes_reports);
        let needs_collection = takes_decisions || (is_telling_set && !takes_reports);
        if needs_collection && ozone.collection.is_none() {
            return Err(EndpointRefused::MissingSetting {
                name: "collection",
                meaning: "the collection in which each family stands as a record, so that a decision is about one",
            });
        }
        let is_did = |text: &str| text.starts_with("did:") && !text.contains(char::is_whitespace);
        for (name, text) in [("subject", &ozone.subject), ("created_by", &ozone.created_by)] {
            if !is_did(text) {
                let name = name.to_owned();
                return Err(EndpointRefused::Setting { name });
            }
        }
        let method = "xrpc/tools.ozone.moderation.emitEvent";
        Ok(Target::Ozone {
            url: below(target, method)?,
            secret: secret(secrets, "Ozone's admin password")?,
            settings: ozone,
        })
    }
}

/// How decisions are asked for at an endpoint of kind ozone; `None` where none are taken.
pub(crate) fn ozone_inwards(endpoint: &Endpoint) -> Option<OzoneInwards> {
    let target = Target::of(endpoint.kind, &endpoint.target, &endpoint.settings, &endpoint.secrets);
    let Ok(Target::Ozone { secret, settings, .. }) = target else {
        return None;
    };
    Some(OzoneInwards {
        url: below(&endpoint.target, "xrpc/tools.ozone.moderation.queryEvents").ok()?,
        password: secret,
        subject: settings.subject,
        collection: settings.collection,
        taking: settings.taking?,
    })
}

const URL_MALFORMED: EndpointRefused = EndpointRefused::Url {
    reason: "the target is a URL: https://host/path",
};

/// Settings that are taken one by one, so that none is left over unseen.
struct Settings(BTreeMap<String, String>);

impl Settings {
    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|text| !text.is_empty())
    }

    fn need(&mut self, name: &'static str, meaning: &'static str) -> Result<String, EndpointRefused> {
        self.take(name).ok_or(EndpointRefused::MissingSetting { name, meaning })
    }

    fn end(self) -> Result<(), EndpointRefused> {
        match self.0.into_keys().next() {
            Some(name) => Err(EndpointRefused::Setting { name }),
            None => Ok(()),
        }
    }
}

/// A route below a base URL, whose path stays as it is whether it ends with a slash or not.
fn below(base: &str, route: &str) -> Result<Url, EndpointRefused> {
    let mut base = url(base)?;
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    base.join(route).map_err(|_| URL_MALFORMED)
}

fn url(text: &str) -> Result<Url, EndpointRefused> {
    let url: Url = text.parse().map_err(|_| URL_MALFORMED)?;
    let refused = |reason| Err(EndpointRefused::Url { reason });
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err(URL_MALFORMED);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("a URL with a name or password in it would be shown with them: leave them out");
    }
    if url.fragment().is_some() {
        return refused("a URL that is called has no fragment");
    }
    Ok(url)
}

/// What is known before anything is resolved; whoever connects judges the address.
fn check_url(url: &Url, networks: &Networks) -> Result<(), EndpointRefused> {
    let refused = |reason| Err(EndpointRefused::Url { reason });
    let is_plain = url.scheme() == "http";
    if is_plain && networks.is_empty() {
        return refused(
            "plain http goes to networks that dispatcher.endpoint_networks names, and it names none: use https",
        );
    }
    match literal(url) {
        Some(address) if networks.holds(address) => Ok(()),
        Some(address) if is_public(address) && !is_plain => Ok(()),
        Some(_) => refused("the address is neither public nor in a network that dispatcher.endpoint_networks names"),
        None => Ok(()),
    }
}

fn topic(text: &str) -> Result<String, EndpointRefused> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = (1..=tocsin_log::TOPIC_NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_legal);
    match fits && text != "." && text != ".." {
        true => Ok(text.to_owned()),
        false => Err(EndpointRefused::Topic),
    }
}

fn secret(secrets: &[String], reason: &'static str) -> Result<String, EndpointRefused> {
    let first = secrets.first().filter(|text| !text.is_empty() && text.is_ascii());
    first.cloned().ok_or(EndpointRefused::Secret { reason })
}

#[cfg(test)]
mod tests {
    //! Goal: what can never be delivered to is refused when it is added, with a reason.
    #![allow(clippy::unwrap_used)]

    use tocsin_model::PartyId;

    use super::*;
    use crate::deliveries::signature::new_signing_secret;

    fn endpoint(kind: EndpointKind, target: &str, settings: &[(&str, &str)]) -> NewEndpoint {
        NewEndpoint {
            name: "hook".parse().unwrap(),
            team: Team::Party(PartyId(1)),
            kind,
            target: target.to_owned(),
            settings: settings
                .iter()
                .map(|(name, text)| (name.to_string(), text.to_string()))
                .collect(),
            secret: match kind {
                EndpointKind::Webhook => new_signing_secret(),
                _ => "key".to_owned(),
            },
        }
    }

    const COOP: &[(&str, &str)] = &[("item_type", "7"), ("reporter_type", "8")];
    const OZONE: &[(&str, &str)] = &[("subject", "did:plc:a"), ("created_by", "did:plc:b")];
    const OZONE_INWARDS: &[(&str, &str)] = &[
        ("subject", "did:plc:a"),
        ("created_by", "did:plc:b"),
        ("collection", "org.tocsin.family"),
        ("decide_as", "00000000000000000000000000000007"),
        ("moderators", "did:plc:anna"),
    ];

    #[test]
    fn decisions_are_taken_of_families_that_stand_by_themselves_alone() {
        let refused = |without: &str, with: &[(&str, &str)]| {
            let kept = OZONE_INWARDS.iter().filter(|(name, _)| *name != without);
            let settings: Vec<(&str, &str)> = kept.chain(with).copied().collect();
            check_endpoint(&endpoint(EndpointKind::Ozone, "https://ozone.example", &settings), &[])
        };
        let missing = refused("collection", &[]).unwrap_err();
        assert!(
            missing.to_string().starts_with("the setting collection is missing"),
            "{missing}"
        );
        for (without, with, name) in [
            ("collection", &[("collection", "family")][..], "collection"),
            ("moderators", &[], "moderators"),
            ("moderators", &[("moderators", "did:plc:b")], "moderators"),
            ("decide_as", &[], "decide_as"),
            ("decide_as", &[("decide_as", "me")], "decide_as"),
            ("", &[("on_label", "delete")], "on_label"),
            ("", &[("on_mute", "benign")], "on_mute"),
        ] {
            let name = name.to_owned();
            assert_eq!(refused(without, with), Err(EndpointRefused::Setting { name }));
        }
    }

    #[test]
    fn an_endpoint_of_each_kind_is_taken() {
        use EndpointKind::*;
        for (kind, target, settings) in [
            (Webhook, "https://hooks.example/a?b=c", &[][..]),
            (Kafka, "tocsin.deliveries.north", &[]),
            (Osprey, "osprey.actions_input", &[]),
            (Osprey, "osprey.actions_input", &[("shape", "coordinator")]),
            (Osprey, "North-Safety_actions.v2", &[]),
            (Coop, "https://coop.example/", COOP),
            (Ozone, "https://ozone.example", OZONE),
            (Ozone, "https://ozone.example", OZONE_INWARDS),
            (Email, "duty@north.example", &[]),
            (Email, "duty@north.example", &[("alerts", "pages")]),
        ] {
            assert_eq!(
                check_endpoint(&endpoint(kind, target, settings), &[]),
                Ok(()),
                "{target}"
            );
        }
        for (base, called) in [
            ("https://coop.example", "https://coop.example/api/v1/report"),
            ("https://example.org/coop", "https://example.org/coop/api/v1/report"),
            ("https://example.org/coop/", "https://example.org/coop/api/v1/report"),
        ] {
            let target = Target::of(Coop, base, &endpoint(Coop, "", COOP).settings, &["key".to_owned()]);
            let Ok(Target::Coop { url, .. }) = target else {
                panic!("no Coop");
            };
            assert_eq!(url.as_str(), called);
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        use EndpointKind::*;
        for (kind, target, settings) in [
            (Webhook, "hooks.example", &[][..]),
            (Webhook, "ftp://hooks.example", &[]),
            (Webhook, "http://hooks.example", &[]),
            (Webhook, "https://me:secret@hooks.example", &[]),
            (Webhook, "https://hooks.example/#a", &[]),
            (Webhook, "https://127.0.0.1/", &[]),
            (Webhook, "https://[::ffff:10.0.0.1]/", &[]),
            (Webhook, "https://hooks.example/", &[("shape", "worker")]),
            (Kafka, "tocsin.alerts", &[]),
            (Osprey, "tocsin.ingest.north", &[]),
            (Osprey, "tocsin.deliveries.south", &[]),
            (Osprey, "__consumer_offsets", &[]),
            (Osprey, "_schemas", &[]),
            (Osprey, "drill.0a1b2c3d.tocsin.ingest.north", &[]),
            (Osprey, "..", &[]),
            (Osprey, "osprey actions", &[]),
            (Osprey, "osprey.actions_input", &[("shape", "proto")]),
            (Coop, "https://coop.example", &[("item_type", "7")]),
            (Email, "duty", &[]),
            (Email, "duty@north.example,eve@evil.example", &[]),
            (Email, "duty@north.example", &[("alerts", "all")]),
            (Email, "duty@north.example", &[("shape", "worker")]),
            (
                Ozone,
                "https://ozone.example",
                &[("subject", "alice"), ("created_by", "did:plc:b")],
            ),
        ] {
            let refused = check_endpoint(&endpoint(kind, target, settings), &[]);
            assert!(refused.is_err(), "{target} {settings:?}");
        }
        let of_coordinators = NewEndpoint {
            team: Team::Coordinators,
            ..endpoint(Kafka, "tocsin.deliveries.north", &[])
        };
        assert_eq!(check_endpoint(&of_coordinators, &[]), Err(EndpointRefused::NoParty));
        let unsigned = NewEndpoint {
            secret: "secret".to_owned(),
            ..endpoint(Webhook, "https://hooks.example", &[])
        };
        assert!(matches!(
            check_endpoint(&unsigned, &[]),
            Err(EndpointRefused::Secret { .. })
        ));
        let loopback = endpoint(Webhook, "http://127.0.0.1:9/", &[]);
        assert!(check_endpoint(&loopback, &["127.0.0.0/8".to_owned()]).is_ok());
        assert!(check_endpoint(&loopback, &["10.0.0.0/8".to_owned()]).is_err());
    }
}
