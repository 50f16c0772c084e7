-- How much of what a team decides is decided once more, in parts per million; how often a case of which the answer is known is mixed in; and what a case is drawn by: hexadecimal. A
-- row for each change: the last that is not later than a decision holds for it.
CREATE TABLE review_settings (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    team BIGINT NOT NULL,
    since BIGINT NOT NULL,
    share_ppm BIGINT NOT NULL,
    golden_ppm BIGINT NOT NULL,
    draw_key TEXT NOT NULL
);
CREATE INDEX review_settings_of ON review_settings (team, sequence);

-- Cases of which the answer is known: as they were when they were added. retired_at: mixed in no more since.
CREATE TABLE golden_cases (
    golden_id TEXT PRIMARY KEY,
    team BIGINT NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    family TEXT NOT NULL,
    hash TEXT NOT NULL,
    alert TEXT NOT NULL,
    verdict BIGINT NOT NULL,
    added_at BIGINT NOT NULL,
    retired_at BIGINT,
    UNIQUE (team, case_id)
);

-- What is decided once more. kind: 1 a second, 2 a third, 3 a golden case. first: what was decided, or is known; verdict: what the reviewer says. hash, alert: JSON, as whoever
-- decided saw them; alert is empty where it never rang. given_to: of a golden case, the person or the key that has it, each once. changed: whether the third's word became the decision. Rows are kept.
CREATE TABLE reviews (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    review_id TEXT NOT NULL UNIQUE,
    team BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    decision_id TEXT REFERENCES decisions (decision_id),
    golden_id TEXT REFERENCES golden_cases (golden_id),
    first BIGINT NOT NULL,
    family TEXT NOT NULL,
    hash TEXT NOT NULL,
    alert TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    fencing BIGINT NOT NULL,
    lease_holder TEXT,
    lease_expires_at BIGINT,
    verdict BIGINT,
    note TEXT,
    answered_at BIGINT,
    answered_by TEXT,
    answered_under BIGINT,
    given_to TEXT,
    changed BIGINT NOT NULL DEFAULT 0,
    UNIQUE (decision_id, kind)
);
CREATE INDEX reviews_open ON reviews (team, asked_at, sequence) WHERE verdict IS NULL;
CREATE INDEX reviews_answered ON reviews (team, answered_at) WHERE verdict IS NOT NULL;
CREATE INDEX reviews_held ON reviews (lease_holder) WHERE lease_holder IS NOT NULL;
CREATE UNIQUE INDEX reviews_golden ON reviews (golden_id, given_to) WHERE golden_id IS NOT NULL;
