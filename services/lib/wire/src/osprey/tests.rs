//! Goal: each form is read; what a mapping points to becomes an event with every account a pseudonym; no input makes it panic.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;
use tocsin_model::{AccountPseudonym, Algorithm, Kind, Sharing, Surface};

use super::*;

const AT: Timestamp = Timestamp(1_773_576_000_000);

const MAPPING: &str = r#"
sharing = "all"
account_key_file = "key"
account_epoch = 3

[[action]]
name = "media_uploaded"
kind = "upload"
platform_at = "/service"
time_at = "/created_at"
account_at = "/user/id"
surface_at = "/where"
region_at = "/region"
language_at = "/language"
audience_at = "/followers"

[[action.hash]]
algorithm = "pdq"
at = "/media/pdq"
quality_at = "/media/quality"

[[action.hash]]
algorithm_at = "/media/other/type"
at = "/media/other/hash"

[[action.label]]
name = "tvec"
at = "/scores/tvec"

[[action]]
name = "hash_matcher_icon_matched"
kind = "report"
platform = "north-chat"
account_at = "/user/id"
surface = "message"

[[action.hash]]
algorithm = "md5"
at = "/md5"
"#;

fn parse(text: &str) -> Result<Mapping, MappingError> {
    Mapping::parse(text, |_| Ok(b"key of epoch 1, 32 bytes long..".to_vec()))
}

fn action(name: &str, data: Value) -> Action {
    Action {
        id: Some(7),
        name: name.to_owned(),
        sent_at: None,
        data,
    }
}

fn whole() -> Value {
    json!({
        "service": "north-video",
        "created_at": "2026-03-15T12:00:00Z",
        "user": {"id": "user:1"},
        "where": "feed",
        "region": "NZ",
        "language": "en",
        "followers": 12,
        "media": {"pdq": "f0".repeat(32), "quality": 88.0, "other": {"type": "SHA256", "hash": "ab".repeat(32)}},
        "scores": {"tvec": 0.5},
    })
}

#[test]
fn every_field_is_found_where_the_mapping_says() {
    let mapped = parse(MAPPING)
        .unwrap()
        .event(&action("media_uploaded", whole()), AT, "place")
        .unwrap()
        .unwrap();
    let event = mapped.event;
    assert_eq!(mapped.absent, Vec::<&str>::new());
    assert_eq!(
        (event.platform.as_str(), event.kind, event.occurred_at),
        ("north-video", Kind::Upload, AT)
    );
    let hashes: Vec<_> = event
        .content
        .iter()
        .map(|hash| (hash.algorithm(), hash.quality()))
        .collect();
    assert_eq!(hashes, [(Algorithm::Pdq, Some(88)), (Algorithm::Sha256, None)]);
    // The vector of schemas/vectors/identifiers.json.
    let vectors: Value = serde_json::from_str(include_str!("../../../../../schemas/vectors/identifiers.json")).unwrap();
    let vector = vectors["account_pseudonyms"].as_array().unwrap().iter().find(|vector| {
        vector["epoch_key"] == hex::encode("key of epoch 1, 32 bytes long..") && vector["account_id"] == "user:1"
    });
    let mut pseudonym = [0; 16];
    hex::decode_to_slice(vector.unwrap()["pseudonym"].as_str().unwrap(), &mut pseudonym).unwrap();
    assert_eq!(
        (event.account, event.account_epoch),
        (Some(AccountPseudonym(pseudonym)), 3)
    );
    assert_eq!((event.surface, event.sharing), (Surface::Feed, Sharing::All));
    assert_eq!(
        (event.region, event.language, event.audience),
        (Some(*b"NZ"), Some(*b"en"), Some(12))
    );
    assert_eq!(
        (event.labels[0].name.as_str(), event.labels[0].confidence),
        ("tvec", 0.5)
    );
    assert!(!format!("{:?}", parse(MAPPING).unwrap()).contains("key of epoch"));
}

#[test]
fn frames_of_a_video_are_taken_as_vpdq_writes_them() {
    let with_frames = MAPPING.replacen("[[action.hash]]", "frames_at = \"/media/vpdq\"\n[[action.hash]]", 1);
    let mapping = parse(&with_frames).unwrap();
    let map = |signal: Value| {
        let mut data = whole();
        data["media"]["vpdq"] = signal;
        let mapped = mapping
            .event(&action("media_uploaded", data), AT, "place")
            .unwrap()
            .unwrap();
        let frames: Vec<(u8, u8)> = mapped
            .event
            .frames
            .iter()
            .map(|frame| (frame.pdq[0], frame.quality))
            .collect();
        (frames, mapped.absent, mapped.malformed)
    };
    let text = |number: usize| format!("{:02x}{},{},{number}.040", number % 256, "5a".repeat(31), number % 101);
    let texts = |count: usize| (0..count).map(text).collect::<Vec<_>>();
    let two = (vec![(0, 0), (1, 1)], vec![], vec![]);
    assert_eq!(map(json!(texts(2))), two);
    assert_eq!(
        map(json!(serde_json::to_string(&texts(2)).unwrap())),
        two,
        "the text of an array"
    );
    assert_eq!(map(json!([])), (vec![], vec![], vec![]));
    assert_eq!(map(json!(null)), (vec![], vec!["frames"], vec![]), "it is a picture");
    let even = |numbers: Vec<usize>, step: usize| -> Vec<(u8, u8)> {
        let taken = numbers.into_iter().step_by(step);
        taken.map(|number| (number as u8, (number % 101) as u8)).collect()
    };
    let is_good = |number: &usize| number % 101 >= 50;
    let (all, ..) = map(json!(texts(64)));
    assert_eq!(all, even((0..64).collect(), 1), "there is room for all, good or not");
    let (many, ..) = map(json!(texts(200)));
    assert_eq!(many, even((0..200).filter(is_good).collect(), 2));
    // What is not matched takes no places: every second one of ten for each place of an event.
    let half: Vec<String> = (0..640)
        .map(|number| format!("{:02x}{},{},1", number % 256, "5a".repeat(31), number % 2 * 90))
        .collect();
    let (half, ..) = map(json!(half));
    assert_eq!(half.len(), 64);
    assert!(half.iter().all(|(_, quality)| *quality == 90));
    let poor = |count: usize| vec![format!("{},49,1", "5a".repeat(32)); count];
    let (none_good, ..) = map(json!(poor(128)));
    assert_eq!(none_good, vec![(0x5a, 49); 64], "whoever reads the event counts it");
    for wrong in [
        json!(7),
        json!("ff"),
        json!([7]),
        json!([text(1), "ff"]),
        json!(vec![text(1); 4_097]),
    ] {
        assert_eq!(
            map(wrong),
            (vec![], vec![], vec!["frames"]),
            "the event counts all the same"
        );
    }
    assert!(parse(&with_frames.replace("/media/vpdq", "media/vpdq")).is_err());
}

#[test]
fn what_is_not_there_is_counted_or_refused() {
    let mapping = parse(MAPPING).unwrap();
    let event = |change: &dyn Fn(&mut Value)| {
        let mut data = whole();
        change(&mut data);
        mapping.event(&action("media_uploaded", data), AT, "place")
    };
    let sparse = event(&|data| {
        for field in ["user", "where", "region", "language", "followers", "scores"] {
            data.as_object_mut().unwrap().remove(field);
        }
        data["media"]["other"] = Value::Null;
    });
    let absent = sparse.unwrap().unwrap().absent;
    assert_eq!(
        absent,
        [
            "content", "account", "region", "language", "audience", "surface", "labels"
        ]
    );
    type Change = dyn Fn(&mut Value);
    let cases: [(&Change, &str); 5] = [
        (&|data| data["media"] = json!({}), "nothing_mapped"),
        (&|data| data["service"] = Value::Null, "nothing_mapped"),
        (&|data| data["created_at"] = Value::Null, "nothing_mapped"),
        (&|data| data["created_at"] = json!("yesterday"), "invalid_field"),
        (&|data| data["media"]["pdq"] = json!("f0"), "hash_malformed"),
    ];
    for (change, code) in cases {
        assert_eq!(event(change).unwrap_err().code(), code);
    }
    // What an event can do without is left out where it has another form, and the copy counts.
    let optional: [(&Change, &str); 9] = [
        (&|data| data["media"]["quality"] = json!(101), "quality"),
        (&|data| data["user"]["id"] = json!(["a"]), "account"),
        (&|data| data["user"]["id"] = json!("a".repeat(1_025)), "account"),
        (&|data| data["region"] = json!("nz"), "region"),
        (&|data| data["language"] = json!(7), "language"),
        (&|data| data["followers"] = json!(-1), "audience"),
        (&|data| data["where"] = json!({}), "surface"),
        (&|data| data["scores"]["tvec"] = json!(2), "labels"),
        (&|data| data["scores"]["tvec"] = json!("much"), "labels"),
    ];
    let as_it_should_be = event(&|_| {}).unwrap().unwrap();
    assert!(as_it_should_be.malformed.is_empty());
    for (change, field) in optional {
        let mapped = event(change).unwrap().unwrap();
        assert_eq!(mapped.malformed, [field]);
        assert!(mapped.absent.is_empty(), "{field} is there");
        assert_eq!(mapped.event.content.len(), as_it_should_be.event.content.len());
        assert_ne!(mapped.event, as_it_should_be.event, "{field}");
    }
    assert_eq!(
        mapping.event(&action("user_logged_in", json!({})), AT, "place"),
        Ok(None)
    );
}

#[test]
fn an_event_id_follows_from_the_action() {
    let mapping = parse(MAPPING).unwrap();
    let id = |id: Option<u64>, place: &str| {
        let action = Action {
            id,
            ..action("media_uploaded", whole())
        };
        mapping.event(&action, AT, place).unwrap().unwrap().event.event_id
    };
    assert_eq!(id(Some(7), "a"), id(Some(7), "b"));
    assert_ne!(id(Some(7), "a"), id(Some(8), "a"));
    assert_ne!(id(None, "a"), id(None, "b"));
    assert_eq!(id(None, "a"), id(None, "a"));
}

#[test]
fn accounts_are_pseudonyms_already_or_become_some() {
    let given = MAPPING.replace("account_key_file = \"key\"", "account_is_pseudonym = true");
    let mapping = parse(&given).unwrap();
    let account = |text: &str| {
        let mut data = whole();
        data["user"]["id"] = json!(text);
        mapping
            .event(&action("media_uploaded", data), AT, "place")
            .map(|mapped| mapped.map(|mapped| (mapped.event.account, mapped.malformed)))
    };
    let pseudonym = Some(AccountPseudonym([0xab; 16]));
    assert_eq!(account(&"ab".repeat(16)), Ok(Some((pseudonym, vec![]))));
    assert_eq!(
        account("user:1"),
        Ok(Some((None, vec!["account"]))),
        "no name leaves here"
    );
    let both = format!("account_is_pseudonym = true\n{MAPPING}");
    assert_eq!(parse(&both).unwrap_err(), MappingError::AccountKey);
    let short = Mapping::parse(MAPPING, |_| Ok(vec![7; 15]));
    assert_eq!(short.unwrap_err(), MappingError::AccountKeyShort);
}

#[test]
fn the_example_for_operators_is_a_mapping() {
    assert!(parse(include_str!("../../../../../deploy/osprey/mapping.toml")).is_ok());
}

#[test]
fn both_forms_of_json_are_read() {
    let new = || NewAction {
        id: 41,
        name: "virality_alert",
        at: AT,
        data: json!({"a": 1}),
    };
    let worker = decode(&encode_worker(new()), None).unwrap();
    let coordinator = decode(&encode_coordinator(new()), None).unwrap();
    assert_eq!((worker.id, worker.sent_at), (Some(41), Some(AT)));
    assert_eq!(
        coordinator,
        Action {
            sent_at: None,
            ..worker
        }
    );
    let without_id = json!({"name": "n", "data": {}, "secret_data": {"ip": "1.1.1.1"}}).to_string();
    let mut value = Vec::new();
    rmp::encode::write_str(&mut value, &without_id).unwrap();
    assert_eq!(decode(&value, None).unwrap().id, None);
    value.push(0);
    assert_eq!(decode(&value, None).unwrap_err().code(), "malformed_action");
    let long = vec![b' '; ACTION_BYTES_MAX + 1];
    assert_eq!(decode(&long, None).unwrap_err().code(), "too_large");
    let deep = format!(
        "{{\"send_time\":\"2026-03-15T12:00:00Z\",\"data\":{}",
        "[".repeat(100_000)
    );
    assert_eq!(decode(deep.as_bytes(), None).unwrap_err().code(), "malformed_json");
}

#[test]
fn protobuf_is_read_by_the_names_of_its_fields() {
    // id = 9; field 12 (hash_matcher_icon_matched): timestamp 1773576000 s, md5, user.id = 5.
    let md5 = "0123456789abcdef0123456789abcdef";
    let mut inner = vec![0x0a, 0x06, 0x08, 0xc0, 0xbe, 0xda, 0xcd, 0x06, 0x3a, 32];
    inner.extend_from_slice(md5.as_bytes());
    inner.extend_from_slice(&[0x62, 9, 0x09, 5, 0, 0, 0, 0, 0, 0, 0]);
    let mut value = vec![0x09, 9, 0, 0, 0, 0, 0, 0, 0, 0x62, inner.len() as u8];
    value.extend_from_slice(&inner);
    let action = decode(&value, Some(b"proto")).unwrap();
    assert_eq!(
        (action.id, action.name.as_str()),
        (Some(9), "hash_matcher_icon_matched")
    );
    assert_eq!(
        (&action.data["md5"], &action.data["user"]["id"]),
        (&json!(md5), &json!(5))
    );
    assert_eq!(action.data.get("policy"), None, "a default is not sent");
    let mapped = parse(MAPPING)
        .unwrap()
        .event(&action, Timestamp(1), "place")
        .unwrap()
        .unwrap();
    assert_eq!((mapped.event.kind, mapped.event.occurred_at.0), (Kind::Report, AT.0));
    let unread = decode(&[0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x32, 1, 0xff], Some(b"proto")).unwrap();
    assert_eq!((unread.name.as_str(), unread.data), ("guild_created", json!({})));
    let own_kind = decode(&[0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0xa2, 0x01, 1, 0x08], Some(b"proto")).unwrap();
    assert_eq!((own_kind.id, own_kind.name.as_str()), (Some(1), "unknown"));
    let hollow = [0x09, 1, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(decode(&hollow, Some(b"proto")).unwrap_err().code(), "malformed_action");
    for wrong in [&b""[..], &[0x09, 1], &[0x62, 2, 0x0a], &[0xff; 20]] {
        assert_eq!(
            decode(wrong, Some(b"proto")).unwrap_err().code(),
            "malformed_action",
            "{wrong:?}"
        );
    }
}

#[test]
fn avro_is_told_from_actions() {
    assert!(is_avro(&[0xc3, 0x01, 7], None) && is_avro(&[0, 0, 0, 0, 7], Some(b"json")));
    assert!(!is_avro(&[0xc3, 0x01, 7], Some(b"proto")) && !is_avro(b"{}", None) && !is_avro(&[], None));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(value: Vec<u8>, is_proto: bool) {
        let _ = decode(&value, is_proto.then_some(&b"proto"[..]));
    }

    #[test]
    fn no_text_of_msgpack_makes_it_panic(text: String) {
        let mut value = Vec::new();
        rmp::encode::write_str(&mut value, &text).unwrap();
        let _ = decode(&value, None);
    }

    #[test]
    fn no_mapping_makes_it_panic(text in "[a-z=\\[\\]\"/~ \n]{0,200}") {
        let _ = parse(&text);
    }
}
