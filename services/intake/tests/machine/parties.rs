//! Goal: an event belongs to the party whose topic it came from, and to nobody else.

use tocsin_intake::TimeSource;
use tocsin_log::{Headers, RecordRef, StampedBy};
use tocsin_model::{
    Algorithm, Class, ContentHash, Event, FamilyAnnouncement, FamilyId, PartyId, PlatformId, Timestamp,
};
use tocsin_wire::event::{encode_batch, encode_single_object};
use tocsin_wire::topics;

use crate::bench::{ALPHA, Bench, NOON, Said, content, key, party, places, share};

fn on(platform: &str, event: Event) -> Event {
    Event {
        platform: platform.parse().unwrap(),
        ..event
    }
}

#[test]
fn the_topic_says_whose_an_event_is() {
    let mut bench = Bench::new(TimeSource::Log);
    let claims = encode_batch(&[
        on("alpha-chat", share(1, 1, NOON)),
        on("beta-social", share(2, 1, NOON)),
        on("nobodys", share(3, 1, NOON)),
        on("alpha-video", share(4, 1, NOON)),
    ]);
    bench.read(NOON, Some(&claims));
    // The same bytes from beta: what is alpha's there is beta's claim here.
    bench.read_from("tocsin.ingest.beta", NOON, Some(&claims), &[]);
    let (seen, rejects) = bench.judged();
    let whose: Vec<_> = seen
        .iter()
        .map(|seen| (seen.source.index, seen.party, seen.platform))
        .collect();
    assert_eq!(
        whose,
        [
            (0, ALPHA, PlatformId(11)),
            (3, ALPHA, PlatformId(10)),
            (1, PartyId(2), PlatformId(20)),
        ]
    );
    let code = "platform_not_of_party";
    assert_eq!(
        places(&rejects),
        [(0, 1, code), (0, 2, code), (1, 0, code), (1, 2, code), (1, 3, code)]
    );
    let party = |reject: &tocsin_wire::Reject| reject.party.as_ref().unwrap().to_string();
    assert_eq!(
        (party(&rejects[0]), party(&rejects[4])),
        ("alpha".to_owned(), "beta".to_owned())
    );
}

#[test]
fn the_same_event_id_of_two_parties_is_two_events() {
    let mut bench = Bench::new(TimeSource::Log);
    bench.read(NOON, Some(&encode_single_object(&share(1, 1, NOON))));
    bench.read(NOON, Some(&encode_single_object(&share(1, 2, NOON))));
    let beta = encode_single_object(&on("beta-social", share(1, 1, NOON)));
    bench.read_from("tocsin.ingest.beta", NOON, Some(&beta), &[]);
    let (seen, _) = bench.judged();
    assert_eq!(seen[0].event_token, seen[1].event_token);
    assert_ne!(seen[0].event_token, seen[2].event_token);
}

#[test]
fn a_topic_of_nobody_or_of_a_revoked_party_is_refused_until_the_registry_says_otherwise() {
    let mut bench = Bench::new(TimeSource::Log);
    let record = encode_single_object(&on("gamma-post", share(1, 1, NOON)));
    let gamma = "tocsin.ingest.gamma";
    bench.read_from(gamma, NOON, Some(&record), &[]);
    for revoked in [true, false] {
        let mut party = party(3, "gamma", &["gamma-post"]);
        party.revoked = revoked;
        bench.intake.registry_mut().put(party);
        bench.read_from(gamma, NOON, Some(&record), &[]);
    }
    let (seen, rejects) = bench.judged();
    assert_eq!(places(&rejects), [(0, 0, "party_unknown"), (1, 0, "party_revoked")]);
    assert_eq!(seen.iter().map(|seen| seen.party).collect::<Vec<_>>(), [PartyId(3)]);
}

#[test]
fn a_family_that_was_withdrawn_is_linked_to_no_more() {
    let mut bench = Bench::new(TimeSource::Log);
    let hot = key().content_id(&content(1));
    let said = FamilyAnnouncement {
        content: hot,
        hash: content(1),
        family: FamilyId(hot),
        class: Class::All,
        at: Timestamp(NOON),
    };
    let place = tocsin_wire::family::key(hot, Class::All);
    let announcement = tocsin_wire::family::encode(&said);
    // A copy whose strongest hash is another each time, and whose further hash is that of the family.
    let mut links = |copy: u8, key: &[u8], value: Option<&[u8]>| {
        let understood = bench.intake.news(&RecordRef {
            topic: topics::FAMILIES,
            partition: 0,
            offset: 0,
            appended_at_ms: NOON,
            stamped_by: StampedBy::Log,
            key: Some(key),
            value,
            headers: Headers::Slice(&[]),
        });
        let own = ContentHash::from_bytes(Algorithm::Sha256, vec![copy; 32], None).unwrap();
        let event = Event {
            content: vec![own, content(1)],
            ..share(u128::from(copy), 1, NOON)
        };
        bench.read(NOON, Some(&encode_single_object(&event)));
        let said = bench.said();
        let links = said.iter().filter(|said| matches!(said, Said::Link(..))).count();
        (understood.is_some(), links)
    };
    assert_eq!(links(1, &place, Some(&announcement)), (true, 1));
    assert_eq!(links(2, &place[..19], None), (false, 1));
    assert_eq!(links(3, &place, Some(b"no record")), (false, 1));
    assert_eq!(links(4, &place, None), (true, 0));
}
