//! Alerts as reports to Coop, the review console of ROOST: `POST /api/v1/report`.

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use tocsin_casework::Team;
use tocsin_model::Alert;
use tocsin_wire::Names;

use super::event;
use super::http::Request;
use super::sentence::sentence;

/// What Coop calls the things that are reported to it; ids of the organisation's own settings there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CoopSettings {
    /// The item type of a family that spreads.
    pub item_type: String,
    /// The user type of the reporter.
    pub reporter_type: String,
    /// The policy that reports name, if any.
    pub policy: Option<String>,
}

/// Who reports.
const REPORTER: &str = "tocsin";

pub(crate) fn request(
    url: &Url,
    api_key: &str,
    settings: &CoopSettings,
    alert: &Alert,
    (names, reader): (&Names, Team),
) -> Option<Request> {
    let mut key = HeaderValue::from_str(api_key).ok()?;
    key.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", key);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(event::CONTENT_TYPE));
    Some(Request {
        url: url.clone(),
        headers,
        body: report(settings, alert, names, reader).to_string().into_bytes(),
    })
}

fn report(settings: &CoopSettings, alert: &Alert, names: &Names, reader: Team) -> Value {
    json!({
        "reporter": { "kind": "user", "typeId": settings.reporter_type, "id": REPORTER },
        "reportedAt": tocsin_wire::document::instant(alert.at),
        "reportedForReason": {
            "policyId": settings.policy,
            "reason": sentence(alert, names, reader),
            "csam": false,
        },
        "reportedItem": {
            "id": alert.family.to_string(),
            "typeId": settings.item_type,
            "data": item_data(alert, names, reader),
        },
    })
}

/// What an item of Coop that stands for a family says of it. It is flat: an item type of Coop has fields, not trees.
pub(crate) fn item_data(alert: &Alert, names: &Names, reader: Team) -> Map<String, Value> {
    let answer = event::answer(alert, names, reader);
    let platforms: Vec<&str> = answer
        .platforms
        .iter()
        .map(|figures| figures.platform.as_str())
        .collect();
    let data = [
        ("alert_id", json!(answer.id)),
        ("level", json!(answer.level)),
        ("reason", json!(answer.reason)),
        ("hash_algorithm", json!(answer.hash.algorithm)),
        ("hash", json!(answer.hash.value)),
        ("first_seen", json!(answer.first_seen)),
        ("platforms", json!(platforms)),
        ("members", json!(answer.members)),
        ("spread_1h", json!(answer.spread_1h.low)),
        ("spread_24h", json!(answer.spread_24h.low)),
        ("accounts", json!(answer.trigger.accounts_sum_over_platforms.estimate)),
        ("forecast_1h", json!(answer.forecast_1h)),
        ("priority", json!(answer.priority)),
    ];
    data.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    //! Goal: the body has the shape that Coop's route validates: reporter, time and item, ids as text.
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::deliveries::example::alert;

    #[test]
    fn a_report_names_the_family_and_says_why() {
        let settings = CoopSettings {
            item_type: "item-7".to_owned(),
            reporter_type: "user-8".to_owned(),
            policy: None,
        };
        let url: Url = "https://coop.example/api/v1/report".parse().unwrap();
        let request = request(
            &url,
            "key",
            &settings,
            &alert(),
            (&Names::default(), Team::Coordinators),
        )
        .unwrap();
        assert_eq!(request.headers["x-api-key"], "key");
        assert!(request.headers["x-api-key"].is_sensitive());
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            body["reporter"],
            json!({"kind": "user", "typeId": "user-8", "id": "tocsin"})
        );
        assert_eq!(body["reportedItem"]["id"], alert().family.to_string());
        assert_eq!(body["reportedItem"]["typeId"], "item-7");
        assert_eq!(body["reportedForReason"]["csam"], false);
        assert!(body["reportedAt"].as_str().unwrap().ends_with('Z'));
        let flat = |value: &Value| !value.is_object();
        assert!(body["reportedItem"]["data"].as_object().unwrap().values().all(flat));
    }
}
