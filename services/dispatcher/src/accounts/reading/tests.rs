//! Goal: a reading ends at its limits and says at which, goes on where it ended, and says what it could not read.

use tocsin_log::embedded::{EmbeddedLog, EmbeddedOptions};
use tocsin_log::{Append, AppenderOptions, Cleanup, Durability, TopicPartition, TopicSpec};
use tocsin_model::{AccountPseudonym, Algorithm, ContentHash, Event, EventId, Kind, Milliseconds, Sharing, Surface};
use tocsin_wire::event::{encode_batch, encode_single_object};
use tocsin_wire::osprey::{self, Mapping};

use super::*;
use crate::ingest::Position;

const START: i64 = 1_770_000_000_000;
const TOPIC: &str = "tocsin.ingest.alpha";
const PARTITIONS: u32 = 3;

struct Bench {
    log: EmbeddedLog,
    kept_from: Timestamp,
    _directory: tempfile::TempDir,
}

fn content() -> ContentHash {
    ContentHash::from_bytes(Algorithm::Md5, vec![5; 16], None).unwrap()
}

fn key() -> DeploymentKey {
    DeploymentKey::from_bytes([7; 32])
}

fn upload(number: u128) -> Event {
    Event {
        event_id: EventId(number.to_be_bytes()),
        platform: "alpha-video".parse().unwrap(),
        kind: Kind::Upload,
        occurred_at: Timestamp(START + number as i64),
        content: vec![content()],
        same_as: Vec::new(),
        frames: Vec::new(),
        account: Some(AccountPseudonym(number.to_be_bytes())),
        account_epoch: 1,
        region: None,
        language: None,
        audience: None,
        surface: Surface::Feed,
        labels: Vec::new(),
        sharing: Sharing::Party,
    }
}

impl Bench {
    fn new() -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap();
        let bench = Bench {
            log,
            kept_from: Timestamp(i64::MAX),
            _directory: directory,
        };
        let spec = TopicSpec {
            name: TOPIC.to_owned(),
            partitions: PARTITIONS,
            cleanup: Cleanup::Delete,
            retention_ms: Some(1_000),
            record_bytes_max: 1 << 20,
            may_grow: true,
            compaction: None,
        };
        bench.log.ensure_topics(&[spec]).unwrap();
        bench
    }

    fn append(&self, partition: u32, values: Vec<Vec<u8>>) {
        let options = AppenderOptions {
            name: "test".to_owned(),
            durability: Durability::Synced,
            gapless: false,
        };
        let appends = values.into_iter().map(|value| Append {
            to: TopicPartition::new(TOPIC, partition),
            key: None,
            value: Some(value.into()),
            headers: Vec::new(),
        });
        let appender = self.log.appender(options).unwrap();
        appender.append(appends.collect()).wait().unwrap();
    }

    fn read(&self, begin: Begin, limits: Limits) -> Page {
        self.read_unless(begin, limits, &|| false).unwrap()
    }

    fn read_unless(&self, begin: Begin, limits: Limits, is_called_off: &dyn Fn() -> bool) -> Result<Page, LogError> {
        self.read_as(&IngestForm::default(), begin, limits, is_called_off)
    }

    fn read_as(
        &self,
        form: &IngestForm,
        begin: Begin,
        limits: Limits,
        is_called_off: &dyn Fn() -> bool,
    ) -> Result<Page, LogError> {
        let asked = Asked {
            party: PartyId(1),
            party_name: "alpha".to_owned(),
            platforms: BTreeMap::from([("alpha-video".to_owned(), PlatformId(1))]),
            members: HashSet::from([key().content_id(&content())]),
            begin,
            kept_from: self.kept_from,
            order: UploaderOrder::First,
        };
        read(&self.log, (form, &key()), &asked, limits, is_called_off)
    }
}

const LIMITS: Limits = Limits {
    records_max: 1_000,
    time_max: Duration::from_secs(30),
    accounts_max: 1_000,
    uploads_max: 1_000,
};

const FROM_THE_BEGINNING: Begin = Begin::Since(Timestamp(0));

/// Pages until there is no more: how many, and of each account how many uploads.
fn all(bench: &Bench, limits: Limits, cut: Cut) -> (usize, BTreeMap<u128, u64>) {
    let (mut begin, mut pages, mut found) = (FROM_THE_BEGINNING, 0, BTreeMap::new());
    loop {
        let page = bench.read(begin, limits);
        pages += 1;
        assert!(page.records <= limits.records_max && page.accounts.len() <= limits.accounts_max);
        for account in &page.accounts {
            *found.entry(u128::from_be_bytes(account.pseudonym.0)).or_default() += account.counts.uploads;
        }
        assert_eq!(page.cut, page.more.then_some(cut));
        if !page.more {
            return (pages, found);
        }
        // As it is handed out and handed in again.
        begin = Begin::After(Positions::parse(&page.next.to_text(), PARTITIONS as usize).unwrap());
    }
}

#[test]
fn every_upload_is_counted_once_whatever_the_limits_are() {
    let bench = Bench::new();
    let mut number = 0;
    let mut next = || {
        number += 1;
        upload(number)
    };
    for partition in 0..PARTITIONS {
        let singles: Vec<Vec<u8>> = (0..5).map(|_| encode_single_object(&next())).collect();
        bench.append(partition, singles);
        let batch: Vec<Event> = (0..10).map(|_| next()).collect();
        bench.append(partition, vec![encode_batch(&batch)]);
    }
    let truth: BTreeMap<u128, u64> = (1..=45).map(|number| (number, 1)).collect();
    assert_eq!(all(&bench, LIMITS, Cut::Accounts), (1, truth.clone()));
    for (limits, cut, pages) in [
        (
            Limits {
                records_max: 1,
                ..LIMITS
            },
            Cut::Records,
            18,
        ),
        (
            Limits {
                records_max: 7,
                ..LIMITS
            },
            Cut::Records,
            3,
        ),
        (
            Limits {
                accounts_max: 1,
                ..LIMITS
            },
            Cut::Accounts,
            45,
        ),
        (
            Limits {
                accounts_max: 4,
                ..LIMITS
            },
            Cut::Accounts,
            12,
        ),
        (
            Limits {
                uploads_max: 20,
                ..LIMITS
            },
            Cut::Accounts,
            3,
        ),
    ] {
        assert_eq!(all(&bench, limits, cut), (pages, truth.clone()), "{limits:?}");
    }
}

#[test]
fn time_that_is_over_ends_it_where_it_stands_and_whoever_waits_no_more_ends_it() {
    let bench = Bench::new();
    bench.append(0, vec![encode_single_object(&upload(1))]);
    let over = Limits {
        time_max: Duration::ZERO,
        ..LIMITS
    };
    let page = bench.read(FROM_THE_BEGINNING, over);
    assert_eq!(
        (page.cut, page.more, page.records, page.until),
        (Some(Cut::Time), true, 0, None)
    );
    let gone = bench.read_unless(FROM_THE_BEGINNING, LIMITS, &|| true);
    assert!(matches!(gone, Err(LogError::CalledOff { .. })), "{gone:?}");
    let page = bench.read(Begin::After(page.next), LIMITS);
    assert_eq!((page.records, page.accounts.len(), page.more), (1, 1, false));
    // There is nothing more now, and what comes later is found from there.
    bench.append(2, vec![encode_single_object(&upload(2))]);
    let page = bench.read(Begin::After(page.next), LIMITS);
    assert_eq!(page.accounts[0].pseudonym.0, 2_u128.to_be_bytes());
}

#[test]
fn what_cannot_be_read_is_counted_and_loses_nothing_beside_it() {
    let bench = Bench::new();
    bench.append(0, vec![vec![1, 2, 3], Vec::new(), encode_single_object(&upload(1))]);
    // An event of a batch that breaks a rule.
    let wrong = Event {
        event_id: EventId([0; 16]),
        ..upload(2)
    };
    bench.append(1, vec![encode_batch(&[upload(3), wrong, upload(4)])]);
    let page = bench.read(FROM_THE_BEGINNING, LIMITS);
    assert_eq!((page.records, page.unread, page.accounts.len()), (4, 3, 3));
}

#[test]
fn what_is_deleted_already_is_told() {
    let bench = Bench::new();
    bench.append(0, vec![encode_single_object(&upload(1))]);
    let first = bench.read(FROM_THE_BEGINNING, LIMITS);
    assert!(!first.deleted);
    let stamp = first.until.unwrap();
    bench.append(0, vec![encode_single_object(&upload(2))]);
    bench.log.enforce_retention(i64::MAX / 2).unwrap();
    bench.append(0, vec![encode_single_object(&upload(3))]);
    let page = bench.read(FROM_THE_BEGINNING, LIMITS);
    assert!(page.deleted && page.accounts.len() == 1, "{page:?}");
    let page = bench.read(Begin::After(first.next), LIMITS);
    assert!(page.deleted && page.accounts.len() == 1, "{page:?}");
    let read_on = bench.read(Begin::After(page.next), LIMITS);
    assert!(!read_on.deleted);
    assert!(stamp <= page.until.unwrap());
}

#[test]
fn what_is_deleted_while_it_is_read_is_told() {
    let bench = Bench::new();
    bench.append(0, vec![encode_single_object(&upload(1))]);
    let is_called_off = || {
        bench.log.enforce_retention(i64::MAX / 2).unwrap();
        false
    };
    let page = bench.read_unless(FROM_THE_BEGINNING, LIMITS, &is_called_off).unwrap();
    assert!(page.deleted, "{page:?}");
}

#[test]
fn what_nothing_is_missing_of_is_not_called_deleted() {
    let mut bench = Bench::new();
    bench.append(0, vec![encode_single_object(&upload(1))]);
    bench.append(1, vec![encode_single_object(&upload(2))]);
    let received = bench.read(FROM_THE_BEGINNING, LIMITS).until.unwrap();
    bench.log.enforce_retention(i64::MAX / 2).unwrap();
    // Partition 0 is idle since, and 1 is not.
    bench.append(1, vec![encode_single_object(&upload(3))]);
    bench.kept_from = received + Milliseconds(1_000);
    let deleted = |since: Timestamp| bench.read(Begin::Since(since), LIMITS).deleted;
    assert!(deleted(received));
    assert!(deleted(bench.kept_from - Milliseconds(1)));
    assert!(!deleted(bench.kept_from), "all of it is kept");
    assert!(!deleted(bench.kept_from + Milliseconds::from_minutes(60)));
    assert_eq!(bench.read(Begin::Since(received), LIMITS).accounts.len(), 1);
}

#[test]
fn a_party_without_a_topic_sent_nothing_and_a_new_partition_is_read_from_its_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let empty = Bench {
        log: EmbeddedLog::open(directory.path(), EmbeddedOptions::default()).unwrap(),
        kept_from: Timestamp(i64::MAX),
        _directory: directory,
    };
    let page = empty.read(FROM_THE_BEGINNING, LIMITS);
    assert_eq!((page.records, page.more, page.next), (0, false, Positions::default()));
    let bench = Bench::new();
    bench.append(2, vec![encode_single_object(&upload(1))]);
    let of_fewer = Begin::After(Positions(vec![Position::default(); 2]));
    assert_eq!(bench.read(of_fewer, LIMITS).accounts.len(), 1);
    let beyond = Position {
        offset: u64::MAX,
        index: 3,
    };
    let page = bench.read(Begin::After(Positions(vec![beyond; 9])), LIMITS);
    assert_eq!((page.records, page.more), (0, false), "nothing stands beyond the end");
}

#[test]
fn actions_of_osprey_are_read_by_their_mapping_as_intake_does() {
    let bench = Bench::new();
    let mapping = r#"
        sharing = "party"
        account_key_file = "key"
        account_epoch = 7
        [[action]]
        name = "uploaded"
        kind = "upload"
        platform = "alpha-video"
        account_at = "/user"
        [[action.hash]]
        algorithm = "md5"
        at = "/md5"
    "#;
    let mapping = Mapping::parse(mapping, |_| Ok(vec![9; 32])).unwrap();
    let action = |id, name, user: &str| {
        osprey::encode_worker(osprey::NewAction {
            id,
            name,
            at: Timestamp(START),
            data: serde_json::json!({"user": user, "md5": "05".repeat(16)}),
        })
    };
    let values = vec![
        action(1, "uploaded", "anna"),
        action(2, "uploaded", "anna"),
        action(3, "uploaded", "ben"),
        action(4, "looked", "anna"),
        encode_single_object(&upload(1)),
    ];
    bench.append(1, values);
    let form = IngestForm {
        mappings: BTreeMap::from([("alpha".to_owned(), mapping)]),
        ..IngestForm::default()
    };
    let page = bench.read_as(&form, FROM_THE_BEGINNING, LIMITS, &|| false).unwrap();
    let told = page.accounts.iter().map(|of| (of.epoch, of.counts.uploads));
    let mut told: Vec<(u32, u64)> = told.collect();
    told.sort_unstable();
    assert_eq!((told, page.unread), (vec![(1, 1), (7, 1), (7, 2)], 0));
    assert!(!format!("{page:?}").contains("anna"), "a name is told to nobody");
    // Without the mapping the events beside them are read all the same.
    let page = bench.read(FROM_THE_BEGINNING, LIMITS);
    assert_eq!((page.accounts.len(), page.unread, page.records), (1, 4, 5));
}
