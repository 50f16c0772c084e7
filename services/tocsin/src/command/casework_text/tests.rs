use serde_json::json;

use super::*;

#[test]
fn a_case_is_told_with_what_can_be_done_about_it() {
    let case = json!({
        "id": "ab", "team": "alpha", "state": "decided", "lane": "live", "desk": "moderators", "family": "cd",
        "hash": {"algorithm": "url", "value": "https://example.org/\u{1b}[31m"},
        "open_notices": 2, "notice_due_at": "at one", "alert": {"members": 3, "spread_1h": {"low": 40, "high": 44}, "platforms": [{"platform": "alpha-video"}]},
        "clocks": {"golden_left_s": 1_830}, "priority": 10.0, "live_priority": 99.6, "severity": 2.0,
        "decision": {"verdict": "violating", "policy": "", "recommended_action": "remove", "exceptions": ["x"], "goes_out_at": "soon"},
    });
    let told = case_text(&case);
    for part in [
        "Case ab of alpha: decided, lane live",
        "2 wait for an answer, the first due at one",
        "40 to 44 in 1 h",
        "platforms alpha-video",
        "priority  100, severity 2.0",
        "golden    30 min",
        "violating; recommends: remove; 1 members excepted",
        "until soon: tocsin case withdraw ab",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(
        !told.contains('\u{1b}'),
        "nothing that came from outside steers the terminal"
    );
    assert!(queue_text(&json!({"cases": [case], "team": "alpha"})).contains("100  live"));
}

#[test]
fn cases_that_became_one_are_told_of_with_what_was_decided() {
    let told = case_text(&json!({
        "id": "ab", "disputed": true,
        "merged_cases": [{"id": "cd", "decision": {"verdict": "benign"}}, {"id": "ef"}],
    }));
    for part in [
        "disputed  two decisions differ",
        "with      cd: benign",
        "with      ef: undecided",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let told = case_text(&json!({"id": "cd", "state": "merged", "merged_into": "ab"}));
    assert!(told.contains("merged    into ab: go on there"), "{told}");
}

#[test]
fn clocks_are_told_by_platform() {
    let clocks = json!({
        "case": "ab", "as_of": "noon", "clocks": {"first_seen": "ten", "claimed_at": null},
        "platforms": [{"platform": "alpha-video", "first_seen": "ten", "removed": "eleven"}],
    });
    let told = clocks_text(&clocks);
    assert!(
        told.contains("On alpha-video:") && told.contains("removed       eleven"),
        "{told}"
    );
    assert!(!told.contains("claimed_at"));
}

#[test]
fn what_is_confirmed_is_told_with_what_is_not() {
    let whole = json!({"awaits": "removal", "members": 3, "unconfirmed": 1, "unconfirmed_since": "ten", "next_reminder_at": "noon", "escalated": false});
    let told = case_text(&json!({"acknowledgement": whole}));
    assert!(
        told.contains("  removal   1 of 3 not confirmed since ten; next reminder noon"),
        "{told}"
    );
    let told = acknowledgements_text(&json!({
        "case": "ab", "acknowledgement": whole, "members_left_out": 0,
        "members": [
            {"platform": "alpha-video", "hash": {"algorithm": "md5", "value": "cd"}, "confirmed": false, "asked": 4, "answered": 1, "returned": 2},
            {"platform": "alpha-chat", "hash": {"algorithm": "md5", "value": "cd"}, "confirmed": true, "confirmed_at": "eleven", "asked": 4, "answered": 4},
        ],
    }));
    for part in [
        "not confirmed                      on alpha-video, md5 cd: 4 posted, 1 removed; 2 came again\n",
        "confirmed eleven",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let opinions = json!([
        {"opinion": "positive", "party": "alpha", "held_at": "2026-11-01T00:00:00.000Z", "hash": {"value": "ab01"}},
        {"opinion": "negative", "party": "a list", "held_at": null, "hash": {"value": "ab02"}},
    ]);
    let opinions = case_text(&json!({"opinions": opinions}));
    assert!(
        opinions.contains("opinion   positive of alpha since 2026-11-01T00:00:00.000Z about ab01\n")
            && opinions.contains("opinion   negative of a list about ab02\n"),
        "{opinions}"
    );
    let live = json!({"state": "running", "viewers": 90, "peak_viewers": 150});
    let live = case_text(&json!({"live": live}));
    assert!(
        live.contains("live      running, 90 viewers, 150 at the most"),
        "{live}"
    );
    let stream = case_text(&json!({"streams": [{"content": "ef", "platform": "alpha-live"}]}));
    assert!(stream.contains("stream    ef on alpha-live"), "{stream}");
    let list = json!({"team": "alpha", "as_of": "noon", "decisions": [{"case": "ab", "acknowledgement": whole}]});
    let listed = unconfirmed_text(&list);
    assert!(
        listed.contains("1 decisions of alpha") && listed.contains("ab  removal  1 of 3"),
        "{listed}"
    );
    let all = json!({"awaits": "restore", "members": 2, "unconfirmed": 0, "copies": 9});
    assert!(case_text(&json!({"acknowledgement": all})).contains("restore   confirmed, all 2; 9 copies"));
    let none = acknowledgements_text(&json!({"case": "ab"}));
    assert!(none.contains("no decision is out"), "{none}");
}

#[test]
fn what_is_missing_is_left_out() {
    assert_eq!(
        history_text(&json!({"steps": [{"kind": "claimed", "note": ""}]})),
        "claimed\n"
    );
    let silent = case_text(&json!({}));
    assert!(silent.starts_with("Case  of ") && silent.contains("it never rang") && !silent.contains("copies"));
}
