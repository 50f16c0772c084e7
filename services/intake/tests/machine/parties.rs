//! Goal: an event belongs to the party whose topic it came from, and to nobody else.

use tocsin_intake::TimeSource;
use tocsin_model::{Event, PartyId, PlatformId};
use tocsin_wire::event::{encode_batch, encode_single_object};

use crate::bench::{ALPHA, Bench, NOON, party, places, share};

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
