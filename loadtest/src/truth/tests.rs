//! Spikes are where a person would see them.
#![allow(clippy::unwrap_used)]

use tocsin_model::Surface;

use super::*;

const BEGIN: i64 = 1_000_000_000_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Judged from two days after the stream begins, for one day.
const JUDGED: Judged = Judged {
    stream_begins_at: Timestamp(BEGIN),
    from: Timestamp(BEGIN + 2 * DAY),
    to: Timestamp(BEGIN + 3 * DAY),
};
/// Noon of the judged day.
const NOON: i64 = BEGIN + 2 * DAY + 12 * HOUR;

/// A share of the family under test, at a time and by an account; numbers are given by [`truth`].
fn share(at: i64, account: u64) -> Occurrence {
    Occurrence {
        number: 0,
        happened_at: Timestamp(at),
        occurred_at: Timestamp(7),
        received_at: Timestamp(8),
        family: Family(5),
        account: Account(account),
        audience: 10,
        variant: 0,
        platform: 0,
        party: 0,
        kind: Kind::Share,
        surface: Surface::Feed,
        tvec_confidence: None,
    }
}

/// The original, long before everything else and so in no hour with it.
fn original() -> Occurrence {
    share(BEGIN, 999)
}

/// Shares at these times, by accounts of their own but that only so many accounts are there.
fn shares(times: impl Iterator<Item = i64>, accounts: u64) -> Vec<Occurrence> {
    times.zip(0..).map(|(at, place)| share(at, place % accounts)).collect()
}

fn truth_of(judged: Judged, records: &[Occurrence]) -> Truth {
    let mut gathered = Records::new(judged);
    for (number, record) in (1..).zip(records) {
        gathered.add(&Occurrence { number, ..*record });
    }
    gathered.judge()
}

fn truth(records: Vec<Occurrence>) -> Truth {
    let mut all = vec![original()];
    all.extend(records);
    truth_of(JUDGED, &all)
}

fn spikes(records: Vec<Occurrence>) -> bool {
    truth(records)
        .family(Family(5))
        .is_some_and(|listed| listed.spike_from.is_some())
}

#[test]
fn a_spike_takes_thirty_reuploads_by_twenty_accounts() {
    let in_an_hour = |copies| (0..copies).map(|place| NOON + place * 2 * MINUTE);
    assert!(spikes(shares(in_an_hour(30), 20)));
    assert!(!spikes(shares(in_an_hour(30), 19)));
    assert!(!spikes(shares(in_an_hour(29), 29)));
}

#[test]
fn an_hour_ends_before_its_sixtieth_minute() {
    let with_last = |last: i64| {
        let mut records = shares((0..29).map(|place| NOON + place), 29);
        records.push(share(last, 100));
        records
    };
    assert!(spikes(with_last(NOON + HOUR - 1)));
    assert!(!spikes(with_last(NOON + HOUR + 28)));
    // The hour may begin with any copy, but not between two.
    assert!(spikes(with_last(NOON - HOUR + 29)));
    assert!(!spikes(with_last(NOON - HOUR)));
}

#[test]
fn a_spike_is_ten_times_the_mean_of_the_day_before() {
    // 72 in 24 h are 3 an hour.
    let with_past = |past: i64, at: i64| {
        let mut records = shares((0..past).map(|place| at + place * 1_000), 1_000);
        records.extend(shares((0..30).map(|place| NOON + place), 30));
        records
    };
    assert!(spikes(with_past(72, NOON - 24 * HOUR)));
    assert!(!spikes(with_past(73, NOON - 24 * HOUR)));
    // The day before is 24 h long and does not hold the moment at which the hour begins.
    assert!(spikes(with_past(73, NOON - 24 * HOUR - 1_000)));
    let mut at_once = shares((0..400).map(|_| NOON), 400);
    assert!(spikes(at_once.clone()));
    at_once.extend(shares((0..40).map(|place| NOON - 23 * HOUR + place), 40));
    assert!(spikes(at_once));
}

#[test]
fn a_past_that_is_not_known_is_no_past_of_zero() {
    // The records begin two hours before the copies of noon: 6 in two hours are 3 an hour.
    let judged = Judged {
        stream_begins_at: Timestamp(NOON - 2 * HOUR),
        from: Timestamp(NOON - HOUR),
        to: Timestamp(NOON + DAY),
    };
    let spikes_after = |past: u64| {
        let mut records = vec![share(NOON - 2 * HOUR, 99)];
        records.extend(shares((0..past as i64).map(|place| NOON - 2 * HOUR + 1 + place), 1_000));
        records.extend(shares((0..30).map(|place| NOON + place), 30));
        let truth = truth_of(judged, &records);
        truth.family(Family(5)).unwrap().spike_from.is_some()
    };
    assert!(spikes_after(6));
    assert!(!spikes_after(7));
    // Less than an hour is taken for an hour.
    let judged = Judged {
        stream_begins_at: Timestamp(NOON - MINUTE),
        from: Timestamp(NOON - MINUTE),
        ..judged
    };
    let spikes_after = |past: i64| {
        let mut records = vec![share(NOON - MINUTE, 99)];
        records.extend(shares((0..past).map(|place| NOON - MINUTE + 1 + place), 1_000));
        records.extend(shares((0..30).map(|place| NOON + place * MINUTE * 2), 30));
        // The first hour begins with the past itself, so only the later ones are asked for.
        let truth = truth_of(judged, &records);
        truth.is_right(Family(5), Timestamp(NOON + 59 * MINUTE + 59_999))
    };
    assert!(spikes_after(3));
    assert!(!spikes_after(4));
}

#[test]
fn hours_before_the_judged_part_are_not_looked_at() {
    let early = |end: i64| shares((0..30).map(|place| end - HOUR + place), 30);
    assert!(!spikes(early(JUDGED.from.0 - 29)));
    assert!(spikes(early(JUDGED.from.0 + 1)));
}

#[test]
fn an_alarm_is_right_from_a_quarter_of_an_hour_before_a_spike_to_its_end() {
    let truth = truth(shares((0..30).map(|_| NOON), 30));
    let right = |at: i64| truth.is_right(Family(5), Timestamp(at));
    assert!(right(NOON - 15 * MINUTE) && !right(NOON - 15 * MINUTE - 1));
    assert!(right(NOON + HOUR - 1) && !right(NOON + HOUR));
    assert!(!truth.is_right(Family(6), Timestamp(NOON)));
    // Two spikes that touch are one stretch, two that do not are two.
    let stretches = |second: i64| {
        let mut records = shares((0..30).map(|_| NOON), 30);
        records.extend(shares((0..400).map(|_| second), 400));
        super::tests::truth(records).family(Family(5)).unwrap().right.len()
    };
    assert_eq!(stretches(NOON + 75 * MINUTE), 1);
    assert_eq!(stretches(NOON + 76 * MINUTE), 2);
}

#[test]
fn near_takes_twenty_by_fifteen_and_no_rise() {
    let near = |copies: i64, accounts: u64| {
        let truth = truth(shares((0..copies).map(|place| NOON + place), accounts));
        assert!(!truth.is_right(Family(5), Timestamp(NOON)));
        truth.is_near(Family(5), Timestamp(NOON))
    };
    assert!(near(20, 15));
    assert!(!near(20, 14));
    assert!(!near(19, 19));
    // A content of 25 an hour, all day long, is near at any time and never spikes.
    let steady = truth(shares((0..600).map(|place| NOON - 12 * HOUR + place * 144_000), 600));
    let listed = steady.family(Family(5)).unwrap();
    assert_eq!((listed.right.len(), listed.near.len(), listed.peak_copies), (0, 1, 25));
}

#[test]
fn the_original_is_no_reupload_unless_a_live_stream_was_before() {
    let mut records = vec![share(NOON, 1), share(NOON + 1, 2), share(NOON + 2, 3)];
    let reuploads =
        |records: &[Occurrence]| truth_of(JUDGED, records).reuploads_before(Family(5), Timestamp(NOON + HOUR));
    assert_eq!(reuploads(&records), 2);
    records[0].kind = Kind::LiveStart;
    assert_eq!(reuploads(&records), 2);
    records[0].kind = Kind::Report;
    assert_eq!(reuploads(&records), 1);
    records[0].kind = Kind::BlockedUpload;
    assert_eq!(reuploads(&records), 2);
}

#[test]
fn the_onset_is_the_tenth_account() {
    let times = |count: i64| (0..count).map(|place| NOON + place * 1_000);
    let onset = |records| truth(records).family(Family(5)).and_then(|listed| listed.onset_at);
    assert_eq!(onset(shares(times(12), 12)), Some(Timestamp(NOON + 9_000)));
    assert_eq!(onset(shares(times(12), 9)), None);
    let mut repeated = shares(times(9), 9);
    repeated.push(share(NOON + 9_000, 3));
    repeated.push(share(NOON + 10_000, 77));
    assert_eq!(onset(repeated), Some(Timestamp(NOON + 10_000)));
}

#[test]
fn order_and_duplicates_change_nothing() {
    let records: Vec<Occurrence> = shares((0..100).map(|place| NOON + (place * 7_919) % HOUR), 60);
    let numbered: Vec<Occurrence> = (1..)
        .zip(&records)
        .map(|(number, record)| Occurrence { number, ..*record })
        .collect();
    let tell = |records: &mut dyn Iterator<Item = Occurrence>| {
        let mut gathered = Records::new(JUDGED);
        records.for_each(|record| gathered.add(&record));
        gathered.judge()
    };
    let once = tell(&mut numbered.iter().copied());
    let twice = tell(&mut numbered.iter().rev().chain(&numbered[..40]).copied());
    assert_eq!(once.families(), twice.families());
    assert_eq!((once.counts().duplicates, twice.counts().duplicates), (0, 40));
    assert_eq!(once.counts().events, twice.counts().events);
}

#[test]
fn questions_about_a_moment_count_that_moment_in() {
    let truth = truth(shares((0..10).map(|place| NOON + place * 1_000), 4));
    let at = |seconds: i64| Timestamp(NOON + seconds * 1_000);
    let family = Family(5);
    assert_eq!(truth.reuploads_before(family, at(-1)), 0);
    assert_eq!(truth.reuploads_before(family, at(0)), 1);
    assert_eq!(
        (
            truth.reuploads_before(family, at(2)),
            truth.accounts_before(family, at(2))
        ),
        (3, 3)
    );
    assert_eq!(truth.accounts_before(family, at(9)), 4);
    let left = |reuploads: u64| Remaining {
        reuploads,
        exposure: reuploads * 10,
    };
    assert_eq!(truth.after(family, at(2)), left(7));
    assert_eq!(truth.between(family, at(2), at(5)), left(3));
    assert_eq!(truth.between(family, at(5), at(2)), left(0));
    assert_eq!(truth.after(Family(404), at(0)), left(0));
}

#[test]
fn accounts_of_a_stretch_are_counted_once_and_new_ones_apart() {
    // Accounts 0 to 4, one a minute, over and over; then 5 and 3 twice.
    let mut records = shares((0..10).map(|minute| NOON + minute * MINUTE), 5);
    records.extend([5, 5, 3, 3].map(|account| share(NOON + HOUR, account)));
    let truth = truth(records);
    let between = |from: i64, to: i64| truth.accounts_between(Family(5), Timestamp(NOON + from), Timestamp(NOON + to));
    let accounts = |distinct, new, all| Accounts { distinct, new, all };
    assert_eq!(between(-1, HOUR - 1), accounts(5, 5, 5));
    assert_eq!(between(2 * MINUTE, 9 * MINUTE), accounts(5, 2, 5));
    assert_eq!(between(9 * MINUTE, HOUR), accounts(2, 1, 6));
    assert_eq!(between(HOUR, DAY), accounts(0, 0, 6));
    assert_eq!(
        between(DAY, HOUR),
        accounts(0, 0, 6),
        "a stretch that ends before it begins"
    );
    let other = truth.accounts_between(Family(6), Timestamp(0), Timestamp(i64::MAX));
    assert_eq!(other, Accounts::default());
}

#[test]
fn contents_are_variants_and_only_those_of_the_judged_part() {
    let record = |family: u64, variant: u16, at: i64| Occurrence {
        family: Family(family),
        variant,
        ..share(at, 1)
    };
    let truth = truth_of(
        JUDGED,
        &[
            record(1, 0, NOON),
            record(2, 0, JUDGED.from.0 - 1),
            record(3, 0, NOON),
            record(3, 1, NOON),
            record(3, 1, NOON + 1),
            record(3, 2, JUDGED.to.0),
        ],
    );
    let counts = truth.counts();
    assert_eq!((counts.events, counts.contents, counts.seen_once), (4, 3, 2));
    assert!((counts.seen_once_share() - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(truth_of(JUDGED, &[]).counts(), &Counts::default());
}

#[test]
fn rows_say_what_is_known() {
    let truth = truth(shares((0..30).map(|_| NOON), 30));
    let rows = truth.rows(4, &Default::default());
    let from = NOON - 15 * MINUTE;
    let to = NOON + HOUR;
    assert_eq!(
        rows[0].to_csv(),
        format!("4,5,ordinary,{BEGIN},{NOON},31,30,30,30,1,{NOON},1,{from}-{to},{from}-{to}")
    );
    assert_eq!(TruthRow::HEADER.split(',').count(), rows[0].to_csv().split(',').count());
    let day = truth.day_row(4).to_csv();
    assert_eq!(day, format!("4,{},{},1,30,0,1,1,0", JUDGED.from.0, JUDGED.to.0));
    assert_eq!(DayRow::HEADER.split(',').count(), day.split(',').count());
}
