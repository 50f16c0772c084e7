//! Golden bytes: every record of every published version is read by this version, and the newest ones are written byte for byte.
//!
//! `schemas/avro/<name>/<version>.golden` is a record in hexadecimal, `<version>.json` the same value. `apache-avro` turns each into the
//! other, so it is a second reader beside the hand-written one. With `TOCSIN_REGENERATE=1` files that are absent are written; a published
//! one never changes.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::schema::{Name as SchemaId, ResolvedSchema};
use apache_avro::types::Value;
use serde_json::{Value as Json, json};
use tocsin_model::*;
use tocsin_wire::state::StateRecord;
use tocsin_wire::*;

#[test]
fn every_golden_record_is_read_and_written() {
    for name in SchemaName::ALL {
        let versions = name.versions();
        for (index, text) in versions.iter().enumerate() {
            let stem = directory().join(name.name()).join((index + 1).to_string());
            let newest = index + 1 == versions.len();
            if newest && std::env::var_os("TOCSIN_REGENERATE").is_some() {
                write_absent(&stem, text, &example(name));
            }
            let golden = std::fs::read_to_string(stem.with_extension("golden")).unwrap();
            let bytes = hex::decode(golden.split_whitespace().collect::<String>()).unwrap();
            let value: Json =
                serde_json::from_str(&std::fs::read_to_string(stem.with_extension("json")).unwrap()).unwrap();

            let schema = Schema::parse_str(text).unwrap();
            let fingerprint = fingerprint(text).unwrap().to_le_bytes();
            assert_eq!(bytes[..2], [0xc3, 0x01], "{name:?}");
            assert_eq!(bytes[2..10], fingerprint, "{name:?}");
            assert_eq!(by_apache_avro(&schema, &bytes[10..]), value, "{name:?}");
            assert_eq!(to_bytes(&schema, &value), bytes[10..], "{name:?}");

            let again = read_and_write(name, &bytes).unwrap();
            if newest {
                assert_eq!(hex::encode(&again), hex::encode(&bytes), "{name:?}");
                assert_eq!(hex::encode(example(name)), hex::encode(&bytes), "{name:?}");
            }
            // Every cut of the record is refused.
            for length in 0..bytes.len() {
                assert!(read_and_write(name, &bytes[..length]).is_err(), "{name:?} {length}");
            }
        }
    }
}

/// A reader of version 2 takes every decision but those that stop a stream.
#[test]
fn a_decision_that_stops_no_stream_is_written_as_before() {
    let golden = |version: &str| {
        let text = std::fs::read_to_string(directory().join("decision").join(version)).unwrap();
        hex::decode(text.trim()).unwrap()
    };
    let (before, now) = (golden("2.golden"), golden("3.golden"));
    for bytes in [&before, &now] {
        let told = decision::decode_told(bytes).unwrap();
        assert_eq!(decision::encode_told(&told), *bytes);
        // The mark alone names no action.
        assert_eq!(decision::encode(&told.decision)[..10], before[..10]);
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../schemas/avro")
}

fn write_absent(stem: &Path, schema: &str, bytes: &[u8]) {
    let golden = stem.with_extension("golden");
    if golden.exists() {
        return;
    }
    let value = by_apache_avro(&Schema::parse_str(schema).unwrap(), &bytes[10..]);
    std::fs::write(golden, hex::encode(bytes) + "\n").unwrap();
    let value = serde_json::to_string_pretty(&value).unwrap();
    std::fs::write(stem.with_extension("json"), value + "\n").unwrap();
}

/// Reads a record of any version with the hand-written code, and writes it again.
fn read_and_write(name: SchemaName, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let events = || -> Result<Vec<Event>, EventError> {
        let decoded = event::decode(bytes, Schemas::builtin())?;
        decoded.to_events().into_iter().collect()
    };
    Ok(match name {
        SchemaName::Event => event::encode_single_object(&events()?[0]),
        SchemaName::EventBatch => event::encode_batch(&events()?),
        SchemaName::Alert => {
            let record = alert::decode(bytes)?;
            alert::encode(&record.alert, &record.names)
        }
        SchemaName::Reject => Reject::decode(bytes)?.encode(),
        SchemaName::Decision => decision::encode_told(&decision::decode_told(bytes)?),
        SchemaName::Family => family::encode(&family::decode(bytes)?),
        SchemaName::Link => link::encode(&link::decode(bytes)?),
        SchemaName::State => StateRecord::decode(bytes)?.encode(),
        SchemaName::Party => PartyRecord::decode(bytes)?.encode(),
        SchemaName::Calibration => calibration::encode(&calibration::decode(bytes)?),
        SchemaName::Watch => watch::encode(&watch::decode(bytes)?),
        SchemaName::Population => population::encode(&population::decode(bytes)?),
        SchemaName::FurtherHash => family::encode_further_hash(&family::decode_further_hash(bytes)?),
        SchemaName::Weighing => weighing::encode(&weighing::decode(bytes)?),
    })
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn hash() -> ContentHash {
    ContentHash::from_bytes(Algorithm::Pdq, (0..32).collect(), Some(87)).unwrap()
}

fn rich_event() -> Event {
    Event {
        event_id: EventId(*b"\x01\x9c\x10\x20\x30\x40\x70\x50\x80\x60abcdef"),
        platform: name("example-video"),
        kind: Kind::BlockedUpload,
        occurred_at: Timestamp(1_770_000_000_123),
        content: vec![
            hash(),
            ContentHash::from_bytes(Algorithm::Md5, vec![0xab; 16], None).unwrap(),
            ContentHash::parse(Algorithm::Url, "https://example.org/ü", None).unwrap(),
        ],
        same_as: vec![ContentHash::from_bytes(Algorithm::Sha256, vec![0x11; 32], None).unwrap()],
        frames: [(0xf0, 0), (0x3c, 100)]
            .map(|(byte, quality)| Frame {
                pdq: [byte; 32],
                quality,
            })
            .to_vec(),
        account: Some(AccountPseudonym([0xcd; 16])),
        account_epoch: u32::MAX,
        region: Some(*b"NZ"),
        language: Some(*b"en"),
        audience: Some(4_000_000_000),
        surface: Surface::Live,
        labels: vec![Label {
            name: "tvec".to_owned(),
            confidence: 0.75,
        }],
        sharing: Sharing::Coordinators,
    }
}

fn plain_event() -> Event {
    Event {
        kind: Kind::Share,
        content: vec![hash()],
        same_as: Vec::new(),
        frames: Vec::new(),
        account: None,
        account_epoch: 0,
        region: None,
        language: None,
        audience: None,
        surface: Surface::Unknown,
        labels: Vec::new(),
        sharing: Sharing::All,
        ..rich_event()
    }
}

fn example(schema: SchemaName) -> Vec<u8> {
    let family = FamilyId(ContentId(0x0123_4567_89ab_cdef_0011_2233_4455_6677));
    let at = Timestamp(1_770_000_000_250);
    let estimate = |estimate: f64| Estimate {
        estimate,
        low: estimate - 1.0,
        high: estimate + 1.5,
    };
    match schema {
        SchemaName::Event => event::encode_single_object(&rich_event()),
        SchemaName::EventBatch => event::encode_batch(&[plain_event(), rich_event()]),
        SchemaName::Alert => {
            let mut names = Names::default();
            names.parties.insert(PartyId(3), name("example"));
            names.platforms.insert(PlatformId(7), name("example-video"));
            let alert = Alert {
                id: AlertId(42),
                scope: Scope::Party(PartyId(3)),
                family,
                hash: hash(),
                level: AlertLevel::Escalated,
                episode: 2,
                rule_version: 1,
                at,
                first_seen: Timestamp(at.0 - 60_000),
                exact_since: Timestamp(at.0 - 50_000),
                trigger: TriggerEvidence {
                    window: Milliseconds::from_minutes(5),
                    observed: 120,
                    expected: 1.25,
                    score: 431.5,
                    threshold: 24.0,
                    accounts: estimate(97.0),
                },
                spread_5m: Interval::exact(120),
                spread_1h: Interval { low: 120, high: 123 },
                spread_24h: Interval { low: 120, high: 130 },
                platforms: [7, 8]
                    .map(|id| PlatformFigures {
                        platform: PlatformId(id),
                        spread_1h: 60,
                        spread_24h: 61,
                        reach: estimate(48.0),
                    })
                    .to_vec(),
                forecast_1h: 900.0,
                priority: 12.5,
                priority_terms: vec![PriorityTerm {
                    name: "labels".into(),
                    value: 1.5,
                }],
                members: 4,
                forecast: Some(NextHour {
                    spread: Quantiles {
                        low: 300.0,
                        median: 900.0,
                        high: 2_700.5,
                    },
                    accounts: Quantiles {
                        low: 250.0,
                        median: 750.0,
                        high: 2_250.5,
                    },
                }),
                paged: true,
                page_score: 12.5,
                page_threshold: 10.25,
                pages_per_day: 15.0,
                influence: vec![
                    PartyInfluence {
                        party: PartyId(3),
                        share: 0.75,
                        counted_share: 0.5,
                        capped: true,
                    },
                    PartyInfluence {
                        party: PartyId(4),
                        share: 0.25,
                        counted_share: 0.5,
                        capped: false,
                    },
                ],
                quarantined: true,
                reason: AlertReason::LiveMatch,
                live: Some(LiveFigures {
                    streams: 2,
                    running: 1,
                    started_at: Timestamp(at.0 - 600_000),
                    ended_at: None,
                    viewers: 180,
                    peak_viewers: 195,
                    viewer_minutes: 1_250,
                    score: 7.5,
                    threshold: 4.2,
                }),
                score_terms: Some(ScoreTerms {
                    rarity: -1.75,
                    pace: 1.25,
                    growth: 0.5,
                    synchrony: 4.0,
                    reuploads: 2.5,
                }),
                calibration: 12,
            };
            alert::encode(&alert, &names)
        }
        SchemaName::Reject => {
            let error = EventError::UnknownField {
                field: "knid".to_owned(),
            };
            let source = RejectSource {
                topic: "tocsin.ingest.example".to_owned(),
                partition: 3,
                offset: 1_234_567,
                index: 9,
            };
            Reject::new(&error, source, Some(name("example")), at).encode()
        }
        SchemaName::Decision => decision::encode_told(&ToldDecision {
            decision: Decision {
                id: DecisionId(77),
                family,
                scope: Scope::Coordinators,
                verdict: Verdict::Newsworthy,
                at,
            },
            grounds: Grounds {
                policy: "news, rule 4".to_owned(),
                action: Some(RecommendedAction::StopStream),
                confidence: Some(90),
                exceptions: vec![ContentId(5), ContentId(u128::MAX)],
            },
        }),
        SchemaName::FurtherHash => family::encode_further_hash(&FurtherHash {
            content: family.0,
            hash: hash(),
            class: Class::Coordinators,
            at,
            frames: vec![[0xf0; 32], [0x3c; 32]],
            told_by: tocsin_model::ToldBy::Alone(PartyId(3)),
        }),
        SchemaName::Family => family::encode(&FamilyAnnouncement {
            content: family.0,
            hash: hash(),
            family,
            class: Class::Party(PartyId(3)),
            at,
        }),
        SchemaName::Link => link::encode(&Link {
            content: ContentId(5),
            hash: hash(),
            family,
            evidence: Evidence::FrameShare(71),
            party: Some(PartyId(3)),
            class: Class::All,
            at,
        }),
        SchemaName::State => StateRecord {
            applied_through: 1_234_567,
            as_of: at,
            format: 1,
            chunk: 0,
            chunks: 2,
            body: b"state".to_vec(),
        }
        .encode(),
        SchemaName::Party => PartyRecord {
            id: PartyId(3),
            name: name("example"),
            platforms: vec![PlatformRecord {
                id: PlatformId(7),
                name: name("example-video"),
            }],
            revoked: true,
        }
        .encode(),
        SchemaName::Calibration => calibration::encode(&Calibration {
            number: 12,
            effective_from: Timestamp(at.0 + 60_000),
            page_threshold: 3.25,
            pages_per_day: 15.0,
            episodes: 1_840,
            at,
            platforms: [7, 8]
                .map(|id| PlatformNull {
                    platform: PlatformId(id),
                    hours: std::array::from_fn(|hour| 0.5 + hour as f64 / 16.0),
                    reuploads: BetaLaw {
                        uploads: 6.5,
                        shares: 1.5,
                    },
                    base_rate: GammaLaw {
                        copies: 0.25,
                        hours: 2.5,
                    },
                })
                .to_vec(),
        }),
        SchemaName::Weighing => weighing::encode(&Weighing {
            number: 9,
            scope: Scope::Party(PartyId(3)),
            at,
            counts: vec![
                EvidenceCount {
                    kind: EvidenceKind::NearPicture,
                    stood: 40,
                    overturned: 7,
                },
                EvidenceCount {
                    kind: EvidenceKind::Label,
                    stood: 0,
                    overturned: 1,
                },
            ],
        }),
        SchemaName::Watch => watch::encode(&Watch {
            number: 41,
            content: family.0,
            hash: hash(),
            listed: Severity::new(3),
            source: name("example"),
            at,
        }),
        SchemaName::Population => {
            let mut population = Population::new(PlatformId(7));
            population.spread = std::array::from_fn(|hour| hour as u64 * Population::ONE);
            population.watched = [7 * Population::ONE; 24];
            population.reuploads.add(3, 12);
            population.rates.add(9);
            population::encode(&Populations {
                group: GroupId(200),
                at,
                platforms: vec![population, Population::new(PlatformId(8))],
            })
        }
    }
}

fn by_apache_avro(schema: &Schema, datum: &[u8]) -> Json {
    let mut rest = datum;
    let value = apache_avro::from_avro_datum(schema, &mut rest, None).unwrap();
    assert!(rest.is_empty());
    to_json(value)
}

/// Bytes as hexadecimal, unions as what they hold.
fn to_json(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Long(value) | Value::TimestampMillis(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Double(value) => json!(value),
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => json!(hex::encode(bytes)),
        Value::String(text) | Value::Enum(_, text) => json!(text),
        Value::Union(_, inner) => to_json(*inner),
        Value::Array(items) => items.into_iter().map(to_json).collect(),
        Value::Record(fields) => fields.into_iter().map(|(name, value)| (name, to_json(value))).collect(),
        other => panic!("no schema of ours has {other:?}"),
    }
}

fn to_bytes(schema: &Schema, value: &Json) -> Vec<u8> {
    let resolved = ResolvedSchema::try_from(schema).unwrap();
    let value = from_json(schema, &|name| resolved.get_names()[name].clone(), value);
    apache_avro::to_avro_datum(schema, value).unwrap()
}

fn from_json(schema: &Schema, named: &dyn Fn(&SchemaId) -> Schema, value: &Json) -> Value {
    let text = || value.as_str().unwrap();
    match schema {
        Schema::Null => Value::Null,
        Schema::Boolean => Value::Boolean(value.as_bool().unwrap()),
        Schema::Int => Value::Int(value.as_i64().unwrap() as i32),
        Schema::Long => Value::Long(value.as_i64().unwrap()),
        Schema::TimestampMillis => Value::TimestampMillis(value.as_i64().unwrap()),
        Schema::Float => Value::Float(value.as_f64().unwrap() as f32),
        Schema::Double => Value::Double(value.as_f64().unwrap()),
        Schema::Bytes => Value::Bytes(hex::decode(text()).unwrap()),
        Schema::Fixed(fixed) => Value::Fixed(fixed.size, hex::decode(text()).unwrap()),
        Schema::String => Value::String(text().to_owned()),
        Schema::Enum(symbols) => {
            let index = symbols.symbols.iter().position(|symbol| symbol == text()).unwrap();
            Value::Enum(index as u32, text().to_owned())
        }
        Schema::Union(union) => {
            let branch = usize::from(!value.is_null());
            let inner = from_json(&union.variants()[branch], named, value);
            Value::Union(branch as u32, Box::new(inner))
        }
        Schema::Array(array) => {
            let items = value.as_array().unwrap().iter();
            Value::Array(items.map(|item| from_json(&array.items, named, item)).collect())
        }
        Schema::Record(record) => Value::Record(
            record
                .fields
                .iter()
                .map(|field| (field.name.clone(), from_json(&field.schema, named, &value[&field.name])))
                .collect(),
        ),
        Schema::Ref { name } => from_json(&named(name), named, value),
        other => panic!("no schema of ours has {other:?}"),
    }
}
