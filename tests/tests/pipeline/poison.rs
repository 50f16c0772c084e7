//! Goal: every kind of bad record is refused with its code and place, and everything beside it is counted once.

use anyhow::{Context as _, Result};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use tocsin_log::LogError;
use tocsin_model::{Event, EventId, Timestamp};
use tocsin_tests::deployment::Deployment;
use tocsin_tests::ground::{Ground, on_each_log};
use tocsin_tests::records::{append, ingest, values};
use tocsin_tests::site::{ALPHA, Site, Time, ingest_topic};
use tocsin_tests::traffic::{share, url};
use tocsin_tests::wait::{LIMIT, until};
use tocsin_wire::Reject;
use tocsin_wire::event::{encode_batch, encode_single_object};
use tocsin_wire::topics;

use crate::retries::now;

/// A bad record: its value, and the place in it and code of each refusal.
type Poison = (Option<Vec<u8>>, Vec<(u32, &'static str)>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_records_are_named_and_lose_nothing_beside_them() {
    on_each_log(async |ground| check(ground).await).await;
}

fn good(id: u128) -> Event {
    share(id, "alpha-video", &url(1), now())
}

fn framed(start: &[u8]) -> Vec<u8> {
    let mut value = encode_single_object(&good(900));
    value[..start.len()].copy_from_slice(start);
    value
}

fn single(change: impl Fn(&mut Event)) -> Option<Vec<u8>> {
    let mut event = good(901);
    change(&mut event);
    Some(encode_single_object(&event))
}

/// Two good events stand in it, 801 and 802.
fn poison() -> Vec<Poison> {
    let alpha_is_bad = |event: &mut Event| event.platform = "beta-social".parse().unwrap();
    let mut broken = encode_batch(&[good(801), good(902), good(903)]);
    let single_bytes = encode_single_object(&good(902)).len();
    broken.truncate(broken.len() - single_bytes - 8);
    let mut mixed = vec![good(904), good(802), good(905)];
    alpha_is_bad(&mut mixed[0]);
    mixed[2].event_id = EventId([0; 16]);
    let mut trailing = encode_single_object(&good(906));
    trailing.push(0);
    vec![
        (None, vec![(0, "empty_record")]),
        (Some(Vec::new()), vec![(0, "unknown_framing")]),
        (Some(b"{\"event_id\":1}".to_vec()), vec![(0, "unknown_framing")]),
        (Some(framed(&[0xc3, 0x02])), vec![(0, "unknown_framing")]),
        (
            Some(framed(&[0xc3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8])),
            vec![(0, "unknown_schema")],
        ),
        (Some(vec![0, 0, 0, 0, 7, 1, 2, 3]), vec![(0, "unknown_schema_id")]),
        (Some(broken), vec![(1, "malformed_avro")]),
        (Some(trailing), vec![(0, "malformed_avro")]),
        (
            Some(encode_batch(&mixed)),
            vec![(0, "platform_not_of_party"), (2, "event_id_nil")],
        ),
        (single(alpha_is_bad), vec![(0, "platform_not_of_party")]),
        (
            single(|event| event.event_id = EventId([0; 16])),
            vec![(0, "event_id_nil")],
        ),
        (
            single(|event| event.occurred_at = Timestamp(0)),
            vec![(0, "timestamp_out_of_range")],
        ),
        (
            single(|event| event.occurred_at = Timestamp(4_102_444_800_000)),
            vec![(0, "timestamp_out_of_range")],
        ),
        (single(|event| event.content.clear()), vec![(0, "no_routing_hash")]),
    ]
}

/// Records beyond what an event record may take. The log's own limit keeps ten megabytes out before anybody must read them. Kafka's goes by
/// batches and so lets in somewhat more than a record may have: that is intake's to refuse, as what is returned says.
async fn oversized(ground: &Ground, deployment: &Deployment) -> Result<Option<(u64, u32, String)>> {
    let huge = append(&deployment.log, vec![ingest(ALPHA, Some(vec![0; 10 << 20]), None)]).await;
    let refusal = huge.err().and_then(|error| error.downcast::<LogError>().ok());
    assert!(matches!(refusal, Some(LogError::RecordTooLarge { .. })), "{refusal:?}");
    let Ground::Kafka { bootstrap } = ground else {
        return Ok(None);
    };
    // A party's own producer knows no limit of ours.
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("message.max.bytes", (16 << 20).to_string());
    let producer: FutureProducer = config.create().context("make a producer")?;
    let topic = ingest_topic(ALPHA);
    let send = async |bytes: usize| {
        let value = vec![0xc3; bytes];
        let record = FutureRecord::<[u8], _>::to(&topic).partition(0).payload(&value);
        producer
            .send(record, LIMIT)
            .await
            .map_err(|(error, _)| error.rdkafka_error_code())
    };
    assert_eq!(
        send(10 << 20).await.err(),
        Some(Some(RDKafkaErrorCode::MessageSizeTooLarge))
    );
    let taken = send((1 << 20) + (1 << 17)).await.ok().context("the broker takes it")?;
    Ok(Some((taken.offset.cast_unsigned(), 0, "too_large".to_owned())))
}

async fn check(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, Time::Live, 4).await?;
    let deployment = Deployment::start(&site).await?;
    let api = &deployment.api;

    let poison = poison();
    let mut records = Vec::new();
    for (number, (value, _)) in poison.iter().enumerate() {
        let number = number as u128;
        records.push(ingest(ALPHA, Some(encode_single_object(&good(number + 1))), None));
        records.push(ingest(ALPHA, value.clone(), None));
        records.push(ingest(
            ALPHA,
            Some(encode_batch(&[good(number + 101), good(number + 201)])),
            None,
        ));
    }
    let offsets = append(&deployment.log, records).await?;
    let bad_offsets = offsets.iter().skip(1).step_by(3);
    let mut expected: Vec<(u64, u32, String)> = poison
        .iter()
        .zip(bad_offsets)
        .flat_map(|((_, refusals), offset)| {
            refusals
                .iter()
                .map(|(index, code)| (*offset, *index, (*code).to_owned()))
        })
        .collect();

    expected.extend(oversized(ground, &deployment).await?);

    let counted = poison.len() as u64 * 3 + 2;
    let answer = until("everything beside is counted", async || {
        let answer = api.look_up(&site.keys.beta, &url(1)).await?;
        Ok(answer.filter(|answer| answer["windows"][0]["exact"].as_u64() >= Some(counted)))
    })
    .await?;
    crate::retries::exactly(&answer, counted);

    let rejects = until("every refusal is on the log", async || {
        let values = values(&deployment.log, topics::REJECTS)?;
        Ok((values.len() >= expected.len()).then_some(values))
    })
    .await?;
    let mut found = Vec::new();
    for value in rejects {
        let reject = Reject::decode(&value)?;
        assert_eq!(
            (&*reject.source.topic, reject.source.partition),
            (&*ingest_topic(ALPHA), 0)
        );
        assert_eq!(reject.party, Some(ALPHA.parse()?));
        found.push((reject.source.offset, reject.source.index, reject.code));
    }
    assert_eq!(found, expected);
    until("the refusals are in the metrics", async || {
        let rejected = api.metric("tocsin_intake_rejects_total").await?;
        Ok((rejected == Some(expected.len() as f64)).then_some(()))
    })
    .await?;
    deployment.stop().await
}
