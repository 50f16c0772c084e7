//! Goal: the end of a preservation is only put off, what the law asks for is held for six months, what is refused changes nothing, and a chain of custody is believed
//! as it was written and in no other form.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tocsin_casework::{CaseId, NoticeId};
use tocsin_evidence::{
    Act, Basis, BasisKind, Chain, CustodyFault, EXTENDED_MONTHS_MAX, EXTENSIONS_MAX, Origin, PRESERVED_MONTHS,
    Preservation, PreservationCommand, PreservationEvent, PreservationId, PreservationRefusal, PreservationState,
    SealedCopy, SignedEntry, Signer, custody_of, months_after,
};
use tocsin_model::{KeyId, PartyId, Timestamp};

const DAY_MS: i64 = 24 * 3_600_000;
const BEGAN: Timestamp = Timestamp(1_795_000_000_000);
const WHO: KeyId = KeyId(5);

fn basis(kind: BasisKind) -> Basis {
    Basis {
        kind,
        text: "an order of the court".to_owned(),
        reference: "AZ 12".to_owned(),
    }
}

fn preservation(kind: BasisKind) -> Preservation {
    let origin = Origin::Notice(NoticeId(3));
    Preservation::place(PreservationId(1), (PartyId(1), CaseId(2)), (basis(kind), origin), BEGAN).unwrap()
}

fn copy() -> SealedCopy {
    SealedCopy {
        at: BEGAN,
        manifest: [1; 32],
        events: 1,
        bytes: 2,
        is_cut: false,
    }
}

fn extend(until: Option<Timestamp>) -> PreservationCommand {
    PreservationCommand::Extend {
        until,
        reason: "the appeal is not decided".to_owned(),
    }
}

fn release() -> PreservationCommand {
    PreservationCommand::Release {
        reason: "the file was closed".to_owned(),
    }
}

#[test]
fn bad_commands_are_refused_with_their_code() {
    let mut held = preservation(BasisKind::RemovalOrder);
    let ends = held.until;
    let too_late = Timestamp(months_after(BEGAN, EXTENDED_MONTHS_MAX).0 + 1);
    let unsaid = |reason: &str| PreservationCommand::Release {
        reason: reason.to_owned(),
    };
    for (command, refusal) in [
        (extend(Some(ends)), PreservationRefusal::Until),
        (extend(Some(BEGAN)), PreservationRefusal::Until),
        (extend(Some(too_late)), PreservationRefusal::Until),
        (extend(Some(Timestamp(i64::MAX))), PreservationRefusal::Until),
        (release(), PreservationRefusal::Required),
        (unsaid(" "), PreservationRefusal::Reason),
        (unsaid("a\0b"), PreservationRefusal::Reason),
        (unsaid(&"a".repeat(2_049)), PreservationRefusal::Reason),
    ] {
        assert_eq!(held.apply(WHO, &command, BEGAN), Err(refusal), "{command:?}");
        assert_eq!(held, preservation(BasisKind::RemovalOrder));
    }
    for (text, reference) in [("", "r"), ("t", ""), ("t", &"r".repeat(257)), ("t\0", "r")] {
        let basis = Basis {
            text: text.to_owned(),
            reference: reference.to_owned(),
            ..basis(BasisKind::Review)
        };
        assert_eq!(basis.check(), Err(PreservationRefusal::Basis));
    }
    let mut often = Preservation {
        extensions: EXTENSIONS_MAX,
        ..preservation(BasisKind::Review)
    };
    assert_eq!(
        often.apply(WHO, &extend(None), BEGAN),
        Err(PreservationRefusal::TooManyExtensions)
    );
    assert_eq!(
        held.export(&basis(BasisKind::Review), BEGAN),
        Err(PreservationRefusal::NotSealed)
    );
}

#[test]
fn six_months_more_are_six_months_and_not_a_day_besides() {
    // 27 November 2026.
    let mut held = preservation(BasisKind::Review);
    assert_eq!(held.apply(WHO, &extend(None), BEGAN), Ok(PreservationEvent::Extended));
    assert_eq!(held.until, months_after(BEGAN, 2 * PRESERVED_MONTHS));
    assert_eq!(held.extensions, 1);
}

#[test]
fn what_is_over_holds_for_nothing_and_is_handed_out_no_more() {
    let mut held = Preservation {
        copy: Some(copy()),
        ..preservation(BasisKind::Review)
    };
    let last = Timestamp(held.until.0 - 1);
    assert!(held.export(&basis(BasisKind::Review), last).is_ok() && !held.expire(last));
    let over = held.until;
    assert_eq!(
        held.export(&basis(BasisKind::Review), over),
        Err(PreservationRefusal::Ended)
    );
    assert_eq!(held.apply(WHO, &release(), over), Err(PreservationRefusal::Ended));
    assert!(!held.stand_for_another(over) && held.expire(over) && !held.expire(over));
    assert_eq!((held.state(), held.exports), (PreservationState::Ended, 1));
}

#[test]
fn another_order_is_held_for_as_long_as_the_first_and_noted_once_a_day() {
    let mut held = preservation(BasisKind::Investigation);
    assert!(held.stand_for_another(BEGAN) && !held.stand_for_another(BEGAN));
    let later = Timestamp(BEGAN.0 + 9 * DAY_MS);
    assert!(held.stand_for_another(later));
    assert_eq!(
        (held.until, held.required_until),
        (months_after(later, 6), Some(months_after(later, 6)))
    );
    assert_eq!(
        held.apply(WHO, &release(), months_after(BEGAN, 6)),
        Err(PreservationRefusal::Required)
    );
}

#[derive(Clone, Debug)]
enum Step {
    Extend(Option<i64>),
    Release,
    Another,
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Extend(None)),
        (-100_i64..1_000).prop_map(|days| Step::Extend(Some(days))),
        Just(Step::Release),
        Just(Step::Another),
        Just(Step::Expire),
    ]
}

proptest! {
    #[test]
    fn the_end_is_only_put_off_and_the_law_is_kept(
        number in 1_i64..=5,
        steps in prop::collection::vec((step(), -20_i64..60), 1..60),
    ) {
        let kind = BasisKind::from_number(number).unwrap();
        let mut held = preservation(kind);
        let mut now = BEGAN;
        for (step, days) in steps {
            // Clocks may go back.
            now = Timestamp(now.0 + days * DAY_MS);
            let before = held.clone();
            match step {
                Step::Extend(days) => {
                    let until = days.map(|days| Timestamp(now.0 + days * DAY_MS));
                    match held.apply(WHO, &extend(until), now) {
                        Ok(event) => {
                            prop_assert_eq!(event, PreservationEvent::Extended);
                            prop_assert!(held.until > before.until);
                            prop_assert!(held.until <= months_after(now, EXTENDED_MONTHS_MAX));
                        }
                        Err(_) => prop_assert_eq!(&held, &before),
                    }
                }
                Step::Release => match held.apply(WHO, &release(), now) {
                    Ok(_) => prop_assert!(before.required_until.is_none_or(|required| now >= required)),
                    Err(_) => prop_assert_eq!(&held, &before),
                },
                Step::Another => prop_assert_eq!(held.stand_for_another(now), held != before),
                Step::Expire => {
                    let over = before.ended.is_none() && now >= before.until;
                    prop_assert_eq!((held.expire(now), held != before), (over, over));
                }
            }
            prop_assert!(held.until >= before.until && held.required_until >= before.required_until);
            prop_assert!(held.until >= months_after(BEGAN, PRESERVED_MONTHS));
            prop_assert!(held.required_until.is_none_or(|required| required <= held.until));
            // What ended stays as it ended.
            if before.ended.is_some() {
                prop_assert_eq!(&held, &before);
            }
        }
    }

    #[test]
    fn a_chain_is_believed_as_it_was_written_and_in_no_other_form(
        acts in prop::collection::vec((0_usize..6, any::<i64>(), ".{0,40}"), 1..8),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let signer = Signer::from_seed(&[4; 32]);
        let mut chain = Chain::of(PreservationId(1));
        let others = [Act::Sealed, Act::Extended, Act::Exported, Act::Released, Act::Expired, Act::Deleted];
        let mut lines = Vec::new();
        for (number, (act, at, text)) in acts.iter().enumerate() {
            let act = if number == 0 { Act::Placed } else { others[*act] };
            let detail = BTreeMap::from([("reason".to_owned(), text.clone())]);
            lines.push(chain.append(&signer, (Timestamp(*at), "key"), (act, detail)).to_line());
        }
        let key = signer.public();
        let read = |lines: &[String]| custody_of(PreservationId(1), lines.concat().as_bytes(), &key);
        prop_assert_eq!(read(&lines).unwrap().len(), lines.len());
        prop_assert!(custody_of(PreservationId(2), lines.concat().as_bytes(), &key).is_err());
        let (from, to) = (from.index(lines.len()), to.index(lines.len()));
        let mut moved = lines.clone();
        moved.swap(from, to);
        prop_assert_eq!(read(&moved).is_ok(), from == to);
        let mut doubled = lines.clone();
        doubled.insert(to, lines[from].clone());
        prop_assert!(read(&doubled).is_err());
        let mut without = lines.clone();
        without.remove(from);
        // What was cut at the end is for the archive to find, which says how many there were.
        prop_assert_eq!(read(&without).is_ok(), from == lines.len() - 1);
        let mut bytes = lines.concat().into_bytes();
        let at = (from * 7_919 + to * 104_729) % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(custody_of(PreservationId(1), &bytes, &key).is_err());
    }
}

#[test]
fn an_entry_has_one_spelling() {
    let signer = Signer::from_seed(&[4; 32]);
    let entry = Chain::of(PreservationId(1)).append(&signer, (BEGAN, "key"), (Act::Placed, BTreeMap::new()));
    let line = entry.to_line();
    let line = line.trim_end();
    assert_eq!(SignedEntry::parse(line), Some(entry));
    for other in [
        line.replace(':', ": "),
        line.to_uppercase(),
        format!("{line} "),
        line.replace("\"by\"", "\"x\":1,\"by\""),
    ] {
        assert_eq!(SignedEntry::parse(&other), None, "{other}");
    }
    let signed = custody_of(PreservationId(1), format!("{line}\n\n").as_bytes(), &signer.public());
    assert_eq!(signed, Err(CustodyFault::Line(1)));
}
