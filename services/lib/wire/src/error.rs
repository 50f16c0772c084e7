use crate::avro::Malformed;

/// Why an event, or the record it came in, is refused.
///
/// [`EventError::code`] is the stable name under which HTTP problems and reject records carry it; `Display` is for people and never
/// repeats more than a name from the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Neither Avro single-object encoding nor Confluent framing.
    #[error("the record has neither Avro single-object encoding (C3 01) nor Confluent framing (00)")]
    UnknownFraming,
    /// No schema with this fingerprint is registered.
    #[error("no schema with fingerprint {fingerprint:016x} is known")]
    UnknownSchema {
        /// The CRC-64-AVRO fingerprint.
        fingerprint: u64,
    },
    /// No schema with this Confluent id is configured.
    #[error("no schema is configured for id {id}")]
    UnknownSchemaId {
        /// The id.
        id: u32,
    },
    /// The schema is known, but is not of an event or a batch of events.
    #[error("schema {name} is not of events")]
    NotEvents {
        /// The schema's name.
        name: String,
    },
    /// The bytes are no datum of their schema. Of a batch: nothing after this place can be read.
    #[error("malformed Avro: {reason}")]
    MalformedAvro {
        /// What is wrong.
        reason: Malformed,
    },
    /// The text is not JSON of the expected form.
    #[error("malformed JSON: {reason}")]
    MalformedJson {
        /// What is wrong, and where.
        reason: String,
    },
    /// The record is no action of Osprey.
    #[error("malformed action: {reason}")]
    MalformedAction {
        /// What is wrong.
        reason: &'static str,
    },
    /// Where the mapping of actions says that a field stands, nothing does.
    #[error("nothing stands where the mapping of actions says that {field} does")]
    NothingMapped {
        /// The field of the event.
        field: &'static str,
    },
    /// The record or line is too large.
    #[error("a record or line has at most {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The batch has too many events. None after the limit is read.
    #[error("a batch has at most {events_max} events")]
    TooManyEvents {
        /// The limit.
        events_max: usize,
    },
    /// A field that the schema does not have.
    #[error("unknown field {field:?}")]
    UnknownField {
        /// Its name, shortened.
        field: String,
    },
    /// A field stands twice.
    #[error("field {field:?} stands twice")]
    DuplicateField {
        /// Its name.
        field: &'static str,
    },
    /// A field that must be there is absent.
    #[error("field {field:?} is missing")]
    MissingField {
        /// Its name.
        field: &'static str,
    },
    /// A field has another type or form than the schema gives it.
    #[error("field {field:?} must be {expected}")]
    InvalidField {
        /// Its name.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The event id is all zero.
    #[error("an event id must not be all zero")]
    EventIdNil,
    /// The platform is not a name.
    #[error("a platform has 1 to 48 of a-z, 0-9, '-' and '_' and begins with a letter or digit")]
    PlatformMalformed,
    /// `occurred_at` lies before 2000 or after 2099.
    #[error("occurred_at must lie in the years 2000 to 2099")]
    TimestampOutOfRange,
    /// A list has too many items.
    #[error("field {field:?} has at most {length_max} items")]
    ListTooLong {
        /// Its name.
        field: &'static str,
        /// The limit.
        length_max: usize,
    },
    /// A hash names an algorithm that is not known (JSON; in Avro such a hash is left out).
    #[error("unknown hash algorithm; known are sha256, md5, pdq, vpdq, url")]
    AlgorithmUnknown,
    /// A hash value does not fit its algorithm.
    #[error("a {algorithm} value has the wrong length or form")]
    HashMalformed {
        /// The algorithm.
        algorithm: &'static str,
    },
    /// A quality is not 0 to 100.
    #[error("a quality is 0 to 100")]
    QualityOutOfRange,
    /// No hash of the event can route it.
    #[error("no hash can route the event: give a sha256, md5, vpdq or url, or a pdq of quality 50 or more")]
    NoRoutingHash,
    /// The account epoch is not 0 to 4294967295.
    #[error("an account epoch is 0 to 4294967295")]
    AccountEpochOutOfRange,
    /// The region is not two upper-case letters.
    #[error("a region is two upper-case letters (ISO 3166-1 alpha-2)")]
    RegionMalformed,
    /// The language is not two lower-case letters.
    #[error("a language is two lower-case letters (ISO 639-1)")]
    LanguageMalformed,
    /// The audience is not 0 to 4294967295.
    #[error("an audience is 0 to 4294967295")]
    AudienceOutOfRange,
    /// A label's name is empty or too long.
    #[error("a label has 1 to 64 bytes of text")]
    LabelMalformed,
    /// A label's confidence is not 0 to 1.
    #[error("a confidence is 0 to 1")]
    ConfidenceOutOfRange,
    /// The platform does not belong to the party that published the event. Found by gateway and intake.
    #[error("platform {platform} does not belong to the publishing party")]
    PlatformNotOfParty {
        /// The platform.
        platform: String,
    },
    /// The party was revoked. Found by gateway and intake.
    #[error("the publishing party was revoked")]
    PartyRevoked,
    /// The topic belongs to no registered party. Found by intake.
    #[error("the topic belongs to no registered party")]
    PartyUnknown,
    /// The record has no value. Found by intake.
    #[error("the record has no value")]
    EmptyRecord,
    /// More events of one record were refused than are named. Found by intake.
    #[error("{count} further events of the record were refused and are not named, the last with {last}")]
    FurtherRefused {
        /// How many.
        count: u64,
        /// The code of the last.
        last: &'static str,
    },
    /// The record's stamp is its sender's, not the log's. Found by intake.
    #[error("the ingest topic is not stamped by the log: it needs message.timestamp.type=LogAppendTime")]
    NotStampedByLog,
}

impl EventError {
    /// Every code with what it means, in the order of the table in `schemas/README.md`.
    pub const CODES: &[(&str, &str)] = &[
        (
            "unknown_framing",
            "The record has neither Avro single-object encoding nor Confluent framing.",
        ),
        (
            "unknown_schema",
            "No schema with the record's fingerprint is registered.",
        ),
        (
            "unknown_schema_id",
            "No schema is configured for the record's Confluent schema id.",
        ),
        (
            "not_events",
            "The record's schema is known, but is not of an event or a batch of events.",
        ),
        (
            "malformed_avro",
            "The bytes are no datum of their schema; of a batch, nothing after this event can be read.",
        ),
        ("malformed_json", "The text is not JSON of the expected form."),
        (
            "malformed_action",
            "The record is no action of Osprey: neither JSON of its worker, nor its coordinator's, nor its protobuf.",
        ),
        (
            "nothing_mapped",
            "Nothing stands where the operator's mapping of actions says that a field without which there is no event does.",
        ),
        ("too_large", "A record or line is larger than its limit."),
        (
            "too_many_events",
            "A batch has more than 10000 events; those after the limit are not read.",
        ),
        ("unknown_field", "A field that the schema does not have."),
        ("duplicate_field", "A field stands twice."),
        ("missing_field", "A field that must be there is absent."),
        (
            "invalid_field",
            "A field has another type or form than the schema gives it.",
        ),
        ("event_id_nil", "The event id is all zero."),
        (
            "platform_malformed",
            "The platform is not a name: 1 to 48 of a-z, 0-9, '-', '_', a letter or digit first.",
        ),
        (
            "timestamp_out_of_range",
            "occurred_at lies outside the years 2000 to 2099.",
        ),
        (
            "list_too_long",
            "content, same_as or labels has more than 16 items, or frames more than 64.",
        ),
        ("algorithm_unknown", "A hash in JSON names an unknown algorithm."),
        ("hash_malformed", "A hash value does not fit its algorithm."),
        ("quality_out_of_range", "A quality is not 0 to 100."),
        ("no_routing_hash", "The event has no hash that can route it."),
        ("account_epoch_out_of_range", "An account epoch is not 0 to 4294967295."),
        ("region_malformed", "A region is not two upper-case letters."),
        ("language_malformed", "A language is not two lower-case letters."),
        ("audience_out_of_range", "An audience is not 0 to 4294967295."),
        (
            "label_malformed",
            "A label's name is empty, too long or holds control characters.",
        ),
        ("confidence_out_of_range", "A label's confidence is not 0 to 1."),
        (
            "platform_not_of_party",
            "The platform does not belong to the publishing party.",
        ),
        ("party_revoked", "The publishing party was revoked."),
        ("party_unknown", "The ingest topic belongs to no registered party."),
        ("empty_record", "The record has no value."),
        (
            "further_refused",
            "So many further events of the record were refused: of one record the first 100 are named.",
        ),
        (
            "not_stamped_by_log",
            "The ingest topic lets senders stamp records: it needs message.timestamp.type=LogAppendTime. Ask the operator.",
        ),
    ];

    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            EventError::UnknownFraming => "unknown_framing",
            EventError::UnknownSchema { .. } => "unknown_schema",
            EventError::UnknownSchemaId { .. } => "unknown_schema_id",
            EventError::NotEvents { .. } => "not_events",
            EventError::MalformedAvro { .. } => "malformed_avro",
            EventError::MalformedJson { .. } => "malformed_json",
            EventError::MalformedAction { .. } => "malformed_action",
            EventError::NothingMapped { .. } => "nothing_mapped",
            EventError::TooLarge { .. } => "too_large",
            EventError::TooManyEvents { .. } => "too_many_events",
            EventError::UnknownField { .. } => "unknown_field",
            EventError::DuplicateField { .. } => "duplicate_field",
            EventError::MissingField { .. } => "missing_field",
            EventError::InvalidField { .. } => "invalid_field",
            EventError::EventIdNil => "event_id_nil",
            EventError::PlatformMalformed => "platform_malformed",
            EventError::TimestampOutOfRange => "timestamp_out_of_range",
            EventError::ListTooLong { .. } => "list_too_long",
            EventError::AlgorithmUnknown => "algorithm_unknown",
            EventError::HashMalformed { .. } => "hash_malformed",
            EventError::QualityOutOfRange => "quality_out_of_range",
            EventError::NoRoutingHash => "no_routing_hash",
            EventError::AccountEpochOutOfRange => "account_epoch_out_of_range",
            EventError::RegionMalformed => "region_malformed",
            EventError::LanguageMalformed => "language_malformed",
            EventError::AudienceOutOfRange => "audience_out_of_range",
            EventError::LabelMalformed => "label_malformed",
            EventError::ConfidenceOutOfRange => "confidence_out_of_range",
            EventError::PlatformNotOfParty { .. } => "platform_not_of_party",
            EventError::PartyRevoked => "party_revoked",
            EventError::PartyUnknown => "party_unknown",
            EventError::EmptyRecord => "empty_record",
            EventError::FurtherRefused { .. } => "further_refused",
            EventError::NotStampedByLog => "not_stamped_by_log",
        }
    }
}

impl From<Malformed> for EventError {
    fn from(reason: Malformed) -> Self {
        EventError::MalformedAvro { reason }
    }
}

/// Why bytes are not one of Tocsin's own records (alert, reject, decision, family, link, party, state).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes do not begin with the single-object marker and a fingerprint.
    #[error("not in Avro single-object encoding")]
    NotSingleObject,
    /// No version of the expected schema has this fingerprint.
    #[error("fingerprint {fingerprint:016x} is of no known version of schema {expected}")]
    UnknownSchema {
        /// The name of the schema that was expected.
        expected: &'static str,
        /// The CRC-64-AVRO fingerprint.
        fingerprint: u64,
    },
    /// The bytes are no datum of their schema.
    #[error("malformed Avro: {reason}")]
    Malformed {
        /// What is wrong.
        reason: Malformed,
    },
    /// A field holds a value that cannot be, or a symbol this version does not know.
    #[error("field {field} holds an impossible or unknown value")]
    Invalid {
        /// The field's name.
        field: &'static str,
    },
}

impl From<Malformed> for RecordError {
    fn from(reason: Malformed) -> Self {
        RecordError::Malformed { reason }
    }
}
