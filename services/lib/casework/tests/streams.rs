//! Goal: a live stream is stopped where there is one, and a refused decision changes nothing.
#![allow(clippy::unwrap_used)]

use tocsin_casework::{By, Case, CaseId, CaseState, Command, Refusal, Ruling, Team};
use tocsin_model::{
    Alert, DecisionId, Grounds, KeyId, LiveFigures, Milliseconds, RecommendedAction, Timestamp, Verdict,
};

#[path = "../../model/tests/example/mod.rs"]
mod example;

const LIVE: LiveFigures = LiveFigures {
    streams: 1,
    running: 0,
    started_at: Timestamp(0),
    ended_at: Some(Timestamp(9)),
    viewers: 0,
    peak_viewers: 9,
    viewer_minutes: 9,
    score: 0.0,
    threshold: 1.0,
};

#[test]
fn a_stream_is_stopped_where_there_is_one() {
    let now = Timestamp(1_000_000);
    let stop = Command::Decide {
        id: DecisionId(7),
        ruling: Ruling {
            grounds: Grounds {
                action: Some(RecommendedAction::StopStream),
                ..Grounds::default()
            },
            ..Ruling::of(Verdict::Violating, "why")
        },
        undo_for: Milliseconds(0),
    };
    for (live, is_taken) in [(None, false), (Some(LIVE), true)] {
        let alert = Alert {
            live,
            ..example::alert()
        };
        let mut case = Case::open(CaseId(1), Team::Coordinators, &alert, now);
        let by = |case: &Case| By {
            who: KeyId(1),
            fencing: case.fencing,
            version: None,
        };
        let length = Milliseconds::from_seconds(60);
        case.apply(by(&case), &Command::Claim { length }, now).unwrap();
        let before = case.clone();
        let decided = case.apply(by(&case), &stop, now);
        match is_taken {
            true => assert_eq!(case.state(now), CaseState::Decided),
            false => {
                assert_eq!(decided, Err(Refusal::NotLive));
                assert_eq!(case, before);
            }
        }
    }
    // A case that nobody rang for knows of no stream.
    let family = example::alert().family;
    let silent = Case::open_silent(CaseId(2), Team::Coordinators, (family, &example::alert().hash), now);
    assert!(!silent.is_live());
}
