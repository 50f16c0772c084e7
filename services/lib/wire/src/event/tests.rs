//! Events come back from Avro and JSON as they were; what is broken gets its code, alone where its neighbours can be read.
#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use tocsin_model::*;

use super::*;
use crate::EventError;

pub(crate) fn any_hash() -> impl Strategy<Value = ContentHash> {
    let quality = proptest::option::of(0u8..=100);
    prop_oneof![
        (any::<[u8; 32]>(), quality.clone()).prop_map(|(v, q)| (Algorithm::Sha256, v.to_vec(), q)),
        (any::<[u8; 16]>(), quality.clone()).prop_map(|(v, q)| (Algorithm::Md5, v.to_vec(), q)),
        (any::<[u8; 32]>(), quality.clone()).prop_map(|(v, q)| (Algorithm::Pdq, v.to_vec(), q)),
        (any::<[u8; 32]>(), quality.clone()).prop_map(|(v, q)| (Algorithm::Vpdq, v.to_vec(), q)),
        ("https://[a-z]{1,20}/[a-zäß\"\\\\]{0,40}", quality).prop_map(|(v, q)| (Algorithm::Url, v.into_bytes(), q)),
    ]
    .prop_map(|(algorithm, value, quality)| ContentHash::from_bytes(algorithm, value, quality).unwrap())
}

pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let list = |max| proptest::collection::vec(any_hash(), 0..=max);
    let letters = |first: u8| proptest::option::of([0u8..26, 0..26].prop_map(move |two| two.map(|n| first + n)));
    let frame = (any::<[u8; 32]>(), 0u8..=100).prop_map(|(pdq, quality)| Frame { pdq, quality });
    let label = ("[a-z]{1,64}", 0.0f32..=1.0).prop_map(|(name, confidence)| Label { name, confidence });
    (
        (
            any::<[u8; 16]>(),
            "[a-z0-9][a-z0-9_-]{0,47}",
            0u8..13,
            OCCURRED_AT_MIN.0..OCCURRED_AT_END.0,
        ),
        (any_hash(), list(15), list(16), proptest::collection::vec(frame, 0..=64)),
        (
            proptest::option::of(any::<[u8; 16]>()),
            any::<u32>(),
            letters(b'A'),
            letters(b'a'),
        ),
        (
            proptest::option::of(any::<u32>()),
            0u8..7,
            proptest::collection::vec(label, 0..=16),
            0u8..3,
        ),
    )
        .prop_map(
            |((id, platform, kind, at), (first, rest, same_as, frames), (account, epoch, region, language), last)| {
                let (audience, surface, labels, sharing) = last;
                Event {
                    event_id: EventId(id),
                    platform: platform.parse().unwrap(),
                    kind: Kind::from_number(kind),
                    occurred_at: Timestamp(at),
                    content: std::iter::once(first).chain(rest).collect(),
                    same_as,
                    frames,
                    account: account.map(AccountPseudonym),
                    account_epoch: epoch,
                    region,
                    language,
                    audience,
                    surface: Surface::from_number(surface),
                    labels,
                    sharing: Sharing::from_number(sharing).unwrap(),
                }
            },
        )
        .prop_filter("valid", |event| validate(event).is_ok())
}

fn plain() -> Event {
    Event {
        event_id: EventId([7; 16]),
        platform: "example-video".parse().unwrap(),
        kind: Kind::Upload,
        occurred_at: Timestamp(1_770_000_000_123),
        content: vec![ContentHash::from_bytes(Algorithm::Sha256, vec![1; 32], None).unwrap()],
        same_as: Vec::new(),
        frames: Vec::new(),
        account: None,
        account_epoch: 0,
        region: None,
        language: None,
        audience: None,
        surface: Surface::Feed,
        labels: Vec::new(),
        sharing: Sharing::All,
    }
}

fn codes(bytes: &[u8]) -> Vec<Result<Event, &'static str>> {
    match decode(bytes, Schemas::builtin()) {
        Ok(decoded) => decoded
            .to_events()
            .into_iter()
            .map(|event| event.map_err(|error| error.code()))
            .collect(),
        Err(error) => vec![Err(error.code())],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn events_round_trip(events in proptest::collection::vec(any_event(), 1..5)) {
        let good: Vec<_> = events.iter().cloned().map(Ok).collect();
        prop_assert_eq!(codes(&encode_single_object(&events[0])), &good[..1]);
        prop_assert_eq!(codes(&encode_batch(&events)), &good[..]);
        prop_assert_eq!(from_json(to_json(&events[0]).as_bytes()), Ok(events[0].clone()));
        let lines: Vec<String> = events.iter().map(to_json).collect();
        prop_assert_eq!(from_ndjson(lines.join("\n").as_bytes()), Ok(good.iter().cloned().map(|e| e.map_err(|_: &str| EventError::EventIdNil)).collect()));
        prop_assert_eq!(from_json_body(format!(" [{}]", lines.join(",")).as_bytes()).unwrap().len(), events.len());
    }

    #[test]
    fn a_view_finds_the_hash_that_routes(event in any_event()) {
        let bytes = encode_single_object(&event);
        let decoded = decode(&bytes, Schemas::builtin()).unwrap();
        let view = decoded.events().next().unwrap().unwrap();
        let strongest = ContentHash::strongest(&event.content).unwrap();
        prop_assert_eq!((view.strongest.algorithm, view.strongest.value), (strongest.algorithm(), strongest.value()));
    }

    #[test]
    fn damaged_bytes_never_panic(event in any_event(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = encode_batch(&[event.clone(), event]);
        let at = at.index(bytes.len());
        bytes[at] = to;
        codes(&bytes);
        let cut = cut.index(bytes.len());
        codes(&bytes[..cut]);
    }
}

#[test]
fn broken_rules_have_their_codes() {
    let hash = |algorithm, length, quality| ContentHash::from_bytes(algorithm, vec![1; length], quality).unwrap();
    let check = |change: fn(&mut Event, ContentHash), hash: ContentHash, code: &str| {
        let mut event = plain();
        change(&mut event, hash);
        assert_eq!(validate(&event).unwrap_err().code(), code);
        // A bad event in a batch refuses itself alone.
        let batch = codes(&encode_batch(&[plain(), event.clone(), plain()]));
        assert_eq!(
            batch,
            [Ok(plain()), Err(code), Ok(plain())].map(|r: Result<Event, &str>| r.map_err(leak))
        );
        let json = from_json(to_json(&event).as_bytes());
        assert_eq!(json.map_err(|error| error.code()), Err(leak(code)));
    };
    let any = || hash(Algorithm::Md5, 16, None);
    check(|e, _| e.event_id = EventId([0; 16]), any(), "event_id_nil");
    check(|e, _| e.occurred_at = Timestamp(0), any(), "timestamp_out_of_range");
    check(|e, _| e.occurred_at = OCCURRED_AT_END, any(), "timestamp_out_of_range");
    check(
        |e, _| e.occurred_at = Timestamp(i64::MAX),
        any(),
        "timestamp_out_of_range",
    );
    check(|e, _| e.content.clear(), any(), "no_routing_hash");
    check(
        |e, h| e.content = vec![h],
        hash(Algorithm::Pdq, 32, Some(49)),
        "no_routing_hash",
    );
    check(|e, h| e.content = vec![h; 17], any(), "list_too_long");
    check(|e, h| e.same_as = vec![h; 1_000], any(), "list_too_long");
    let frame = |quality| Frame {
        pdq: [0x5a; 32],
        quality,
    };
    for (frames, code) in [
        (vec![frame(90); Event::FRAMES_MAX + 1], "list_too_long"),
        (vec![frame(90), frame(101)], "quality_out_of_range"),
    ] {
        let event = Event { frames, ..plain() };
        assert_eq!(validate(&event).unwrap_err().code(), code);
        let batch = encode_batch(&[plain(), event.clone(), plain()]);
        assert_eq!(codes(&batch), [Ok(plain()), Err(code), Ok(plain())]);
        assert_eq!(from_json(to_json(&event).as_bytes()).unwrap_err().code(), code);
    }
    check(|e, _| e.region = Some(*b"de"), any(), "region_malformed");
    check(|e, _| e.language = Some(*b"D1"), any(), "language_malformed");
    let label = |name: &str, confidence| Label {
        name: name.to_owned(),
        confidence,
    };
    for (item, code) in [
        (label("", 0.5), "label_malformed"),
        (label(&"x".repeat(65), 0.5), "label_malformed"),
        (label("tvec", 1.5), "confidence_out_of_range"),
        (label("tvec", -0.1), "confidence_out_of_range"),
    ] {
        let mut event = plain();
        event.labels = vec![item];
        assert_eq!(codes(&encode_batch(&[event, plain()])), [Err(code), Ok(plain())]);
    }
    let mut event = plain();
    event.labels = vec![label("tvec", f32::NAN)];
    assert_eq!(codes(&encode_single_object(&event)), [Err("confidence_out_of_range")]);
}

fn leak(code: &str) -> &'static str {
    EventError::CODES
        .iter()
        .map(|(known, _)| *known)
        .find(|known| *known == code)
        .unwrap()
}

#[test]
fn broken_records_have_their_codes() {
    let good = encode_single_object(&plain());
    assert_eq!(codes(b""), [Err("unknown_framing")]);
    assert_eq!(codes(b"{}"), [Err("unknown_framing")]);
    assert_eq!(codes(&good[..9]), [Err("unknown_framing")]);
    assert_eq!(codes(&[0xc3, 1, 1, 2, 3, 4, 5, 6, 7, 8]), [Err("unknown_schema")]);
    assert_eq!(codes(&[0, 0, 0, 0, 9]), [Err("unknown_schema_id")]);
    assert_eq!(codes(&vec![0xc3; RECORD_BYTES_MAX + 1]), [Err("too_large")]);
    assert_eq!(codes(&good[..good.len() - 1]), [Err("malformed_avro")]);
    assert_eq!(codes(&[&good[..], &[0]].concat()), [Err("malformed_avro")]);
    let party = crate::PartyRecord {
        id: PartyId(1),
        name: "x".parse().unwrap(),
        platforms: Vec::new(),
        revoked: false,
    };
    assert_eq!(codes(&party.encode()), [Err("not_events")]);
    // What stands before the damage is kept, and the damage ends the batch.
    let batch = encode_batch(&[plain(), plain()]);
    assert_eq!(codes(&batch[..batch.len() - 10]), [Ok(plain()), Err("malformed_avro")]);
    // A batch that claims a million events, and one that has too many.
    let mut claim = encode_batch(&[])[..10].to_vec();
    crate::avro::put_long(&mut claim, 1_000_000);
    assert_eq!(codes(&claim), [Err("malformed_avro")]);
    let many = codes(&encode_batch(&vec![plain(); BATCH_EVENTS_MAX + 1]));
    assert_eq!(many.last(), Some(&Err("too_many_events")));
    assert_eq!(many.len(), BATCH_EVENTS_MAX + 1);
}

#[test]
fn confluent_framing_is_read_by_its_map() {
    let mut schemas = Schemas::builtin().clone();
    schemas.map_confluent_id_to_version(77, SchemaName::Event, 2).unwrap();
    assert!(schemas.map_confluent_id_to_version(78, SchemaName::Event, 9).is_err());
    let mut bytes = vec![0, 0, 0, 0, 77];
    bytes.extend_from_slice(&encode_single_object(&plain())[10..]);
    assert_eq!(decode(&bytes, &schemas).unwrap().to_events(), [Ok(plain())]);
}

#[test]
fn the_first_version_is_read_as_it_stands_and_has_no_frames() {
    let newest = encode_single_object(&plain());
    let mut first = vec![0xc3, 1];
    first.extend_from_slice(&SchemaName::Event.fingerprint_of(1).to_le_bytes());
    first.extend_from_slice(newest[10..].strip_suffix(&[0]).unwrap());
    let decoded = decode(&first, Schemas::builtin()).unwrap();
    assert!(matches!(decoded.datum, Cow::Borrowed(_)), "nothing is rewritten");
    assert_eq!(decoded.to_events(), [Ok(plain())]);
    // A batch of them, where the next event begins at once.
    let mut batch = vec![0xc3, 1];
    batch.extend_from_slice(&SchemaName::EventBatch.fingerprint_of(1).to_le_bytes());
    crate::avro::put_long(&mut batch, 2);
    batch.extend_from_slice(&[&first[10..], &first[10..], &[0]].concat());
    assert_eq!(codes(&batch), [Ok(plain()), Ok(plain())]);
    // Frames behind such an event are none.
    first.push(0);
    assert_eq!(codes(&first), [Err("malformed_avro")]);
}

#[test]
fn frames_are_named_by_the_digest_of_their_hashes() {
    let frame = |byte, quality| Frame {
        pdq: [byte; 32],
        quality,
    };
    let digest = |frames: Vec<Frame>| {
        let event = Event { frames, ..plain() };
        let bytes = encode_single_object(&event);
        let decoded = decode(&bytes, Schemas::builtin()).unwrap();
        let view = decoded.events().next().unwrap().unwrap();
        assert_eq!(view.frames.iter().collect::<Vec<_>>(), event.frames);
        view.frames.digest().value_text()
    };
    // printf of 32 times 01 and 32 times 02, through sha256sum.
    let known = digest(vec![frame(1, 100), frame(2, 3)]);
    assert_eq!(
        known,
        "f818afd37a6dc3bc92fb44731011277006db4efa6e9023cd7468c02335d22a4d"
    );
    assert_eq!(digest(vec![frame(1, 0), frame(2, 50)]), known);
    assert_ne!(digest(vec![frame(2, 100), frame(1, 3)]), known);
}

#[test]
fn json_is_refused_by_name() {
    let good = to_json(&plain());
    let code = |text: &str| from_json(text.as_bytes()).map_err(|error| (error.code(), error.to_string()));
    let with = |from: &str, to: &str| {
        let text = good.replace(from, to);
        assert_ne!(text, good);
        code(&text).unwrap_err()
    };
    assert_eq!(code(&good), Ok(plain()));
    assert_eq!(with("\"kind\"", "\"knid\"").1, "unknown field \"knid\"");
    assert_eq!(with("\"algorithm\"", "\"algo\"").1, "unknown field \"algo\"");
    assert_eq!(
        with("\"kind\":\"upload\"", "\"kind\":\"upload\",\"kind\":\"upload\"").0,
        "duplicate_field"
    );
    assert_eq!(with("\"kind\":\"upload\",", "").1, "field \"kind\" is missing");
    assert_eq!(
        with("\"kind\":\"upload\"", "\"kind\":7").1,
        "field \"kind\" must be text"
    );
    assert_eq!(
        with("\"sharing\":\"all\"", "\"sharing\":\"everyone\"").0,
        "invalid_field"
    );
    assert_eq!(with("sha256", "sha-256").0, "algorithm_unknown");
    assert_eq!(with("0101", "01").0, "hash_malformed");
    assert_eq!(with("\"quality\":null", "\"quality\":101").0, "quality_out_of_range");
    assert_eq!(with("07070707-", "0707-").0, "invalid_field");
    assert_eq!(with("example-video", "Example Video").0, "platform_malformed");
    assert_eq!(
        with("\"labels\":[]", "\"labels\":{}").1,
        "field \"labels\" must be a list of objects"
    );
    assert_eq!(
        with("\"labels\":[]", "\"labels\":[3]").1,
        "field \"labels\" must be a list of objects"
    );
    assert_eq!(with("\"account\":null", "\"account\":\"abcd\"").0, "invalid_field");
    assert_eq!(
        with("\"account_epoch\":0", "\"account_epoch\":-1").0,
        "account_epoch_out_of_range"
    );
    assert_eq!(
        with("\"audience\":null", "\"audience\":4294967296").0,
        "audience_out_of_range"
    );
    assert_eq!(code("[]").unwrap_err().0, "malformed_json");
    assert_eq!(
        code(&good[..good.len() - 1]).unwrap_err().1,
        format!(
            "malformed JSON: the text ends too early at line 1 column {}",
            good.len() - 1
        )
    );
    assert_eq!(code(&format!("{good} x")).unwrap_err().0, "malformed_json");
    assert_eq!(code(&"[".repeat(100_000)).unwrap_err().0, "malformed_json");
    let million = good.replace(
        "\"content\":[",
        &format!(
            "\"content\":[{}",
            "{\"algorithm\":\"url\",\"value\":\"x\"},".repeat(3_000)
        ),
    );
    assert_eq!(code(&million).unwrap_err().0, "list_too_long");
    assert_eq!(code(&" ".repeat(1 << 20)).unwrap_err().0, "too_large");
    assert_eq!(from_json_array(b"{}").unwrap_err().code(), "malformed_json");
    let too_many = format!("[{}1]", "1,".repeat(BATCH_EVENTS_MAX));
    assert_eq!(
        from_json_array(too_many.as_bytes()).unwrap_err().code(),
        "too_many_events"
    );
    let mixed = from_ndjson(format!("{good}\n\nnonsense\r\n{good}\n").as_bytes()).unwrap();
    assert_eq!(mixed.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn json_times_and_unknown_symbols() {
    let good = to_json(&plain());
    assert!(good.contains("\"occurred_at\":\"2026-02-02T02:40:00.123Z\""), "{good}");
    let text = good
        .replace("\"2026-02-02T02:40:00.123Z\"", "1770000000123")
        .replace("\"upload\"", "\"telepathy\"");
    let event = from_json(text.as_bytes()).unwrap();
    assert_eq!((event.occurred_at, event.kind), (plain().occurred_at, Kind::Unknown));
    let shifted = good.replace("2026-02-02T02:40:00.123Z", "2026-02-02T03:40:00.123+01:00");
    assert_eq!(from_json(shifted.as_bytes()), Ok(plain()));
}

/// A version that is still to come: another kind, another algorithm, another sharing, a new field, another order.
fn newer_event_schema() -> String {
    let mut schema: serde_json::Value = serde_json::from_str(SchemaName::Event.versions()[0]).unwrap();
    let fields = schema["fields"].as_array_mut().unwrap();
    for field in fields.iter_mut() {
        match field["name"].as_str().unwrap() {
            "kind" => field["type"]["symbols"]
                .as_array_mut()
                .unwrap()
                .push("telepathy".into()),
            "sharing" => field["type"]["symbols"]
                .as_array_mut()
                .unwrap()
                .insert(0, "friends".into()),
            "content" => field["type"]["items"]["fields"][0]["type"]["symbols"]
                .as_array_mut()
                .unwrap()
                .push("tmk".into()),
            _ => {}
        }
    }
    fields.insert(2, serde_json::json!({"name": "mood", "type": "string", "default": ""}));
    schema.to_string()
}

#[test]
fn a_newer_writer_is_read_by_resolution() {
    let mut schemas = Schemas::builtin().clone();
    let text = newer_event_schema();
    let fingerprint = schemas.register(SchemaName::Event, &text).unwrap();
    let mut bytes = vec![0xc3, 1];
    bytes.extend_from_slice(&fingerprint.to_le_bytes());
    bytes.extend_from_slice(&[7; 16]);
    crate::avro::put_bytes(&mut bytes, b"example-video");
    crate::avro::put_bytes(&mut bytes, b"cheerful");
    bytes.push(13 * 2); // kind telepathy
    crate::avro::put_long(&mut bytes, 1_770_000_000_123);
    bytes.push(2 * 2); // two hashes
    bytes.extend_from_slice(&[6 * 2, 2, 9, 0]); // tmk, one byte, no quality
    bytes.push(2);
    crate::avro::put_bytes(&mut bytes, &[1; 32]);
    bytes.push(0); // no quality
    bytes.push(0); // end of content
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 2, 0, 0]); // ..., surface feed, no labels, sharing friends
    let events = decode(&bytes, &schemas).unwrap().to_events();
    let expected = Event {
        kind: Kind::Unknown,
        sharing: Sharing::Party,
        ..plain()
    };
    assert_eq!(events, [Ok(expected)]);
    // Every cut of it is refused, though apache-avro alone takes some for nulls.
    for length in 10..bytes.len() {
        assert!(decode(&bytes[..length], &schemas).is_err(), "{length}");
    }
}

/// A field that this version does not know, of a record that holds itself: it is read over, to a depth, and beyond it the record alone is refused.
#[test]
fn a_foreign_field_may_nest_to_a_depth() {
    let mut schemas = Schemas::builtin().clone();
    let mut schema: serde_json::Value = serde_json::from_str(SchemaName::Event.versions().last().unwrap()).unwrap();
    let next = serde_json::json!({"name": "next", "type": ["null", "Node"]});
    let node = serde_json::json!({"type": "record", "name": "Node", "fields": [next]});
    let field = serde_json::json!({"name": "trail", "type": ["null", node]});
    schema["fields"].as_array_mut().unwrap().push(field);
    let fingerprint = schemas.register(SchemaName::Event, &schema.to_string()).unwrap();
    let with_levels = |levels: usize| {
        let mut bytes = vec![0xc3, 1];
        bytes.extend_from_slice(&fingerprint.to_le_bytes());
        bytes.extend_from_slice(&encode_single_object(&plain())[10..]);
        bytes.extend(std::iter::repeat_n(2, levels));
        bytes.push(0);
        decode(&bytes, &schemas).map(|decoded| decoded.to_events())
    };
    for levels in [0, 1, 9] {
        assert_eq!(with_levels(levels).unwrap(), [Ok(plain())], "{levels} levels");
    }
    for levels in [12, 1_000, 100_000] {
        let refused = with_levels(levels).unwrap_err();
        assert_eq!(refused.code(), "malformed_avro", "{levels} levels");
        assert!(refused.to_string().contains("nested too deeply"), "{refused}");
    }
}

#[test]
fn an_incompatible_schema_is_not_registered() {
    let mut schemas = Schemas::builtin().clone();
    let text = SchemaName::Event.versions()[0].replace("\"platform\"", "\"service\"");
    assert!(matches!(
        schemas.register(SchemaName::Event, &text),
        Err(crate::SchemaError::Incompatible { .. })
    ));
    assert!(matches!(
        schemas.register(SchemaName::Event, "{"),
        Err(crate::SchemaError::Parse(_))
    ));
}

#[test]
fn every_code_is_in_the_documented_table() {
    let readme = include_str!("../../../../../schemas/README.md");
    for (code, meaning) in EventError::CODES {
        assert!(readme.contains(&format!("| `{code}` | {meaning} |")), "{code}");
    }
}
