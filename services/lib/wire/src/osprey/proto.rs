//! `osprey.rpc.actions.v1.Action`: field 1 is the id (fixed64), each further field one kind of action, whose name is the action's. The two
//! that carry a hash are read whole; of the others the name is enough, for no mapping can find a content in them.

use prost::{Message, Oneof};
use serde_json::{Map, Value, json};
use tocsin_model::Timestamp;

use super::{Action, malformed};
use crate::EventError;
use crate::document::instant;

/// A message with its id alone has so many bytes.
const ID_BYTES: usize = 9;
/// The name of an action whose kind is not known.
const UNKNOWN: &str = "unknown";

#[derive(Clone, PartialEq, Message)]
struct ActionMessage {
    #[prost(fixed64, tag = "1")]
    id: u64,
    #[prost(oneof = "Data", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13")]
    data: Option<Data>,
}

/// A message that is not looked into has the form of bytes.
#[derive(Clone, PartialEq, Oneof)]
enum Data {
    #[prost(bytes = "vec", tag = "2")]
    AuthSessionCreated(Vec<u8>),
    #[prost(bytes = "vec", tag = "3")]
    AuthSessionModified(Vec<u8>),
    #[prost(bytes = "vec", tag = "4")]
    UserFlinkApplicationScored(Vec<u8>),
    #[prost(bytes = "vec", tag = "5")]
    GuildFlinkApplicationScored(Vec<u8>),
    #[prost(bytes = "vec", tag = "6")]
    GuildCreated(Vec<u8>),
    #[prost(bytes = "vec", tag = "7")]
    UserBatchMlScore(Vec<u8>),
    #[prost(bytes = "vec", tag = "8")]
    UserBlocked(Vec<u8>),
    #[prost(bytes = "vec", tag = "9")]
    GuildJoined(Vec<u8>),
    #[prost(bytes = "vec", tag = "10")]
    SmiteAutoClusteringUser(Vec<u8>),
    #[prost(bytes = "vec", tag = "11")]
    SmiteAutoClusteringKey(Vec<u8>),
    #[prost(message, tag = "12")]
    HashMatcherIconMatched(IconMatched),
    #[prost(message, tag = "13")]
    SafetyVisualPrediction(VisualPrediction),
}

#[derive(Clone, PartialEq, Message)]
struct IconMatched {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Time>,
    #[prost(string, tag = "2")]
    content_id: String,
    #[prost(string, tag = "3")]
    hash_algorithm: String,
    #[prost(double, tag = "4")]
    distance: f64,
    #[prost(string, tag = "5")]
    seed_id: String,
    #[prost(string, tag = "6")]
    qdrant_collection_name: String,
    #[prost(string, tag = "7")]
    md5: String,
    #[prost(string, tag = "8")]
    policy: String,
    #[prost(string, tag = "9")]
    seed_gcs_uri: String,
    #[prost(uint64, tag = "10")]
    guild_id: u64,
    #[prost(string, tag = "11")]
    seed_metadata: String,
    #[prost(message, optional, tag = "12")]
    user: Option<User>,
}

#[derive(Clone, PartialEq, Message)]
struct VisualPrediction {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Time>,
    #[prost(uint64, tag = "2")]
    guild_id: u64,
    #[prost(uint64, tag = "3")]
    channel_id: u64,
    #[prost(uint64, tag = "4")]
    message_id: u64,
    #[prost(uint64, tag = "5")]
    attachment_id: u64,
    #[prost(uint64, tag = "6")]
    user_id: u64,
    #[prost(uint64, tag = "7")]
    webhook_id: u64,
    #[prost(string, tag = "8")]
    prediction_class: String,
    #[prost(float, tag = "9")]
    score: f32,
    #[prost(bool, tag = "10")]
    decision: bool,
    #[prost(float, tag = "11")]
    decision_threshold: f32,
    #[prost(string, tag = "12")]
    md5_hash: String,
    #[prost(bool, tag = "13")]
    from_bot: bool,
    #[prost(string, tag = "14")]
    scored_class: String,
    #[prost(string, tag = "15")]
    source: String,
}

/// `UserHashMatcher`.
#[derive(Clone, PartialEq, Message)]
struct User {
    #[prost(fixed64, tag = "1")]
    id: u64,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The data has the names of the message's fields. Of a field with its default value, which protobuf does not send, nothing stands there.
pub(super) fn decode(value: &[u8]) -> Result<Action, EventError> {
    let message = ActionMessage::decode(value).map_err(|_| malformed("no osprey.rpc.actions.v1.Action"))?;
    let (name, sent_at, data) = match message.data {
        Some(data) => data.read(),
        // A kind that this version, or Osprey's own schema, does not know: a platform may have its own.
        None if value.len() > ID_BYTES => (UNKNOWN, None, Value::Object(Map::new())),
        None => return Err(malformed("an action of protobuf without data")),
    };
    Ok(Action {
        id: Some(message.id).filter(|id| *id != 0),
        name: name.to_owned(),
        sent_at,
        data,
    })
}

impl Data {
    /// Its name, its time and its fields.
    fn read(self) -> (&'static str, Option<Timestamp>, Value) {
        let name = match self {
            Data::HashMatcherIconMatched(message) => {
                let at = message.timestamp.as_ref().and_then(Time::at);
                return ("hash_matcher_icon_matched", at, message.fields());
            }
            Data::SafetyVisualPrediction(message) => {
                let at = message.timestamp.as_ref().and_then(Time::at);
                return ("safety_visual_prediction", at, message.fields());
            }
            Data::AuthSessionCreated(_) => "auth_session_created",
            Data::AuthSessionModified(_) => "auth_session_modified",
            Data::UserFlinkApplicationScored(_) => "user_flink_application_scored",
            Data::GuildFlinkApplicationScored(_) => "guild_flink_application_scored",
            Data::GuildCreated(_) => "guild_created",
            Data::UserBatchMlScore(_) => "user_batch_ml_score",
            Data::UserBlocked(_) => "user_blocked",
            Data::GuildJoined(_) => "guild_joined",
            Data::SmiteAutoClusteringUser(_) => "smite_auto_clustering_user",
            Data::SmiteAutoClusteringKey(_) => "smite_auto_clustering_key",
        };
        (name, None, Value::Object(Map::new()))
    }
}

impl IconMatched {
    fn fields(self) -> Value {
        let user = self.user.map(|user| set([("id", json!(user.id))]));
        set([
            ("timestamp", self.timestamp.as_ref().and_then(Time::text).into()),
            ("content_id", self.content_id.into()),
            ("hash_algorithm", self.hash_algorithm.into()),
            ("distance", self.distance.into()),
            ("seed_id", self.seed_id.into()),
            ("qdrant_collection_name", self.qdrant_collection_name.into()),
            ("md5", self.md5.into()),
            ("policy", self.policy.into()),
            ("seed_gcs_uri", self.seed_gcs_uri.into()),
            ("guild_id", self.guild_id.into()),
            ("seed_metadata", self.seed_metadata.into()),
            ("user", user.into()),
        ])
    }
}

impl VisualPrediction {
    fn fields(self) -> Value {
        set([
            ("timestamp", self.timestamp.as_ref().and_then(Time::text).into()),
            ("guild_id", self.guild_id.into()),
            ("channel_id", self.channel_id.into()),
            ("message_id", self.message_id.into()),
            ("attachment_id", self.attachment_id.into()),
            ("user_id", self.user_id.into()),
            ("webhook_id", self.webhook_id.into()),
            ("prediction_class", self.prediction_class.into()),
            ("score", self.score.into()),
            ("decision", self.decision.into()),
            ("decision_threshold", self.decision_threshold.into()),
            ("md5_hash", self.md5_hash.into()),
            ("from_bot", self.from_bot.into()),
            ("scored_class", self.scored_class.into()),
            ("source", self.source.into()),
        ])
    }
}

impl Time {
    fn at(&self) -> Option<Timestamp> {
        let at = self.seconds.checked_mul(1_000)?;
        at.checked_add(i64::from(self.nanos) / 1_000_000).map(Timestamp)
    }

    fn text(&self) -> Option<String> {
        instant(self.at()?)
    }
}

/// The fields that have another value than their default.
fn set<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let is_set = |value: &Value| match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    };
    let fields = fields.into_iter().filter(|(_, value)| is_set(value));
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect())
}
