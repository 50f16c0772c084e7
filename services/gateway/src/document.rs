use serde::Serialize;
use utoipa::ToSchema;

/// One event as JSON. An unknown field is refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventDocument {
    /// The identity of the event within its party: a UUID, version 7 recommended. The same event sent again has the same id.
    #[schema(example = "01920000-0000-7000-8000-000000000001")]
    pub event_id: String,
    /// The platform it happened on: one of the platforms of the party whose key is shown.
    #[schema(example = "example-video")]
    pub platform: String,
    /// upload, blocked_upload, share, report, live_start, live_heartbeat, live_end, view_sample, notice, removal, restore or appeal.
    #[schema(example = "upload")]
    pub kind: String,
    /// When it happened, by the platform's clock: RFC 3339 text, or milliseconds since 1970.
    #[schema(example = "2026-03-15T13:40:00.250Z")]
    pub occurred_at: String,
    /// The content's hashes: 1 to 16, at least one of them other than a PDQ hash of a quality below 50.
    pub content: Vec<HashDocument>,
    /// Contents that the party says are the same: 0 to 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<Vec<HashDocument>>,
    /// Frames of the video, at even distances over all of it: 0 to 64. Videos of which frames agree become one family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<Vec<FrameDocument>>,
    /// The account as the platform's keyed pseudonym: 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "00112233445566778899aabbccddeeff")]
    pub account: Option<String>,
    /// The epoch of the platform's pseudonym key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_epoch: Option<u32>,
    /// ISO 3166-1 alpha-2, two upper-case letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "NZ")]
    pub region: Option<String>,
    /// ISO 639-1, two lower-case letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "en")]
    pub language: Option<String>,
    /// Followers, views or concurrent viewers, by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<u32>,
    /// feed, recommendation, search, direct, live or message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "feed")]
    pub surface: Option<String>,
    /// The platform's own classification: 0 to 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<LabelDocument>>,
    /// Who may see it: party, coordinators or all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "coordinators")]
    pub sharing: Option<String>,
}

/// One hash of a content.
#[derive(Debug, Serialize, ToSchema)]
pub struct HashDocument {
    /// sha256, md5, pdq, vpdq or url.
    #[schema(example = "sha256")]
    pub algorithm: String,
    /// Hexadecimal; of a URL its text.
    #[schema(example = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    pub value: String,
    /// Of a perceptual hash: 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
}

/// A frame of a video.
#[derive(Debug, Serialize, ToSchema)]
pub struct FrameDocument {
    /// Its PDQ hash: 64 hexadecimal digits.
    #[schema(example = "25ad26b96f58d2491a79f80f07f2c9936fe6083dfb4983d8a4a36db40034df54")]
    pub pdq: String,
    /// How much there is to see: 0 to 100. Below 50 a frame is not matched.
    pub quality: u8,
}

/// A platform's own classification.
#[derive(Debug, Serialize, ToSchema)]
pub struct LabelDocument {
    /// Its name; `tvec` (terrorist and violent extremist content) is the one that raises priority.
    #[schema(example = "tvec")]
    pub name: String,
    /// How sure the platform is: 0 to 1.
    pub confidence: f32,
}

#[cfg(test)]
mod tests {
    //! Goal: what the API's description calls an event is one; a field that the reader does not know would be refused.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn hash(algorithm: &str, digit: &str, digits: usize) -> HashDocument {
        HashDocument {
            algorithm: algorithm.to_owned(),
            value: digit.repeat(digits),
            quality: (algorithm == "pdq").then_some(90),
        }
    }

    #[test]
    fn a_document_with_every_field_is_an_event() {
        let document = EventDocument {
            event_id: "01920000-0000-7000-8000-000000000001".to_owned(),
            platform: "example-video".to_owned(),
            kind: "upload".to_owned(),
            occurred_at: "2026-03-15T13:40:00.250Z".to_owned(),
            content: vec![hash("sha256", "a", 64), hash("pdq", "b", 64)],
            same_as: Some(vec![hash("md5", "c", 32)]),
            frames: Some(vec![FrameDocument {
                pdq: "d".repeat(64),
                quality: 80,
            }]),
            account: Some("0".repeat(32)),
            account_epoch: Some(3),
            region: Some("NZ".to_owned()),
            language: Some("en".to_owned()),
            audience: Some(200),
            surface: Some("live".to_owned()),
            labels: Some(vec![LabelDocument {
                name: "tvec".to_owned(),
                confidence: 0.5,
            }]),
            sharing: Some("coordinators".to_owned()),
        };
        let event = tocsin_wire::event::from_json(&serde_json::to_vec(&document).unwrap()).unwrap();
        assert_eq!(event.content.len(), 2);
        assert_eq!((event.labels.len(), event.frames.len()), (1, 1));
    }
}
