//! Events as signed requests: CloudEvents in HTTP's binary mode (attributes are `ce-` headers, the body is the document), signed by
//! Standard Webhooks.

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::event::{self, CloudEvent};
use super::http::Request;
use super::signature::{SigningSecret, signatures};

/// What stands before a delivery's id in `webhook-id`.
pub(crate) const ID_PREFIX: &str = "msg_";

/// `timestamp_s`: the time of this try, in seconds since 1970.
pub(crate) fn request(
    (url, secrets): (&Url, &[SigningSecret]),
    delivery: &str,
    event: &CloudEvent,
    timestamp_s: i64,
) -> Option<Request> {
    let id = format!("{ID_PREFIX}{delivery}");
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(event::CONTENT_TYPE));
    for (name, value) in event.attributes() {
        let name = HeaderName::try_from(format!("ce-{name}")).ok()?;
        headers.insert(name, HeaderValue::from_str(value).ok()?);
    }
    let signature = signatures(secrets, &id, timestamp_s, &event.data);
    headers.insert("webhook-id", HeaderValue::from_str(&id).ok()?);
    headers.insert("webhook-timestamp", HeaderValue::from(timestamp_s));
    headers.insert("webhook-signature", HeaderValue::from_str(&signature).ok()?);
    Some(Request {
        url: url.clone(),
        headers,
        body: event.data.clone(),
    })
}

#[cfg(test)]
mod tests {
    //! Goal: a request carries every attribute of the event, and a signature of exactly its body.
    #![allow(clippy::unwrap_used)]

    use tocsin_store::DeliveryEvent;
    use tocsin_wire::Names;

    use super::*;
    use crate::deliveries::example::alert;
    use crate::deliveries::signature::new_signing_secret;

    #[test]
    fn an_alert_is_sent_with_its_attributes_and_signed() {
        let event = CloudEvent::of(
            &DeliveryEvent::Alert(Box::new(alert())),
            &Names::default(),
            tocsin_casework::Team::Coordinators,
        );
        let secret = SigningSecret::parse(&new_signing_secret()).unwrap();
        let url: Url = "https://hooks.example/".parse().unwrap();
        let secrets = [secret.clone()];
        let request = request((&url, &secrets), "ab", &event, 1_700_000_000).unwrap();
        let header = |name: &str| request.headers[name].to_str().unwrap();
        assert_eq!((header("ce-specversion"), header("ce-source")), ("1.0", "urn:tocsin"));
        assert_eq!(header("ce-id"), alert().id.to_string());
        assert_eq!(header("ce-type"), format!("tocsin.alert.{}", alert().level.name()));
        assert_eq!(header("ce-subject"), alert().family.to_string());
        assert_eq!(
            (header("webhook-id"), header("webhook-timestamp")),
            ("msg_ab", "1700000000")
        );
        assert_eq!(
            header("webhook-signature"),
            secret.sign("msg_ab", 1_700_000_000, &request.body)
        );
        let document: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(document["id"], alert().id.to_string());
    }

    #[test]
    fn an_event_of_a_drill_says_so_in_attribute_source_and_document() {
        let alert = DeliveryEvent::Alert(Box::new(alert()));
        let event = CloudEvent::of(&alert, &Names::default(), tocsin_casework::Team::Coordinators);
        let real = event.clone().of_drill(None);
        assert_eq!(real, event);
        assert!(!real.attributes().iter().any(|(name, _)| *name == "drill"));

        let secret = SigningSecret::parse(&new_signing_secret()).unwrap();
        let url: Url = "https://hooks.example/".parse().unwrap();
        let event = event.of_drill(Some(tocsin_model::DrillId(0xab)));
        let request = request((&url, std::slice::from_ref(&secret)), "ab", &event, 7).unwrap();
        assert_eq!(request.headers["ce-drill"], "000000ab");
        assert_eq!(request.headers["ce-source"], "urn:tocsin:drill:000000ab");
        // What is signed is what is sent.
        assert_eq!(
            request.headers["webhook-signature"],
            secret.sign("msg_ab", 7, &request.body)
        );
        let mut document: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(document["drill"], "000000ab");
        document.as_object_mut().unwrap().remove("drill");
        assert_eq!(
            document,
            serde_json::from_slice::<serde_json::Value>(&real.data).unwrap()
        );
    }
}
