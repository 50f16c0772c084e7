-- How much of what a team decides is decided once more, in parts per million; how often a case of which the answer is known is mixed in; and what a case is drawn by: hexadecimal. A
-- row for each change: the last that is not later than a decision holds for it.
CREATE TABLE review_settings (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    team INTEGER NOT NULL,
    since INTEGER NOT NULL,
    share_ppm INTEGER NOT NULL,
    golden_ppm INTEGER NOT NULL,
    draw_key TEXT NOT NULL
) STRICT;
CREATE INDEX review_settings_of ON review_settings (team, sequence);

-- Cases of which the answer is known: as they were when they were added. retired_at: mixed in no more since.
CREATE TABLE golden_cases (
    golden_id TEXT PRIMARY KEY,
    team INTEGER NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    family TEXT NOT NULL,
    hash TEXT NOT NULL,
    alert TEXT NOT NULL,
    verdict INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    retired_at INTEGER,
    UNIQUE (team, case_id)
) STRICT;

-- What is decided once more. kind: 1 a second, 2 a third, 3 a golden case. first: what was decided, or is known; verdict: what the reviewer says. hash, alert: JSON, as whoever
-- decided saw them; alert is empty where it never rang. given_to: of a golden case, the person or the key that has it, each once. changed: whether the third's word became the decision. Rows are kept.
CREATE TABLE reviews (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    review_id TEXT NOT NULL UNIQUE,
    team INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    decision_id TEXT REFERENCES decisions (decision_id),
    golden_id TEXT REFERENCES golden_cases (golden_id),
    first INTEGER NOT NULL,
    family TEXT NOT NULL,
    hash TEXT NOT NULL,
    alert TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    fencing INTEGER NOT NULL,
    lease_holder TEXT,
    lease_expires_at INTEGER,
    verdict INTEGER,
    note TEXT,
    answered_at INTEGER,
    answered_by TEXT,
    answered_under INTEGER,
    given_to TEXT,
    changed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (decision_id, kind)
) STRICT;
CREATE INDEX reviews_open ON reviews (team, asked_at, sequence) WHERE verdict IS NULL;
CREATE INDEX reviews_answered ON reviews (team, answered_at) WHERE verdict IS NOT NULL;
CREATE INDEX reviews_held ON reviews (lease_holder) WHERE lease_holder IS NOT NULL;
CREATE UNIQUE INDEX reviews_golden ON reviews (golden_id, given_to) WHERE golden_id IS NOT NULL;
