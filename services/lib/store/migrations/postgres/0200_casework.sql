-- version: rises with every change of what people decide on. desk: 1 moderators, 2 expert, 3 legal. lane: 1 live, 2 watch-listed, 5 general.
-- touched_at: when anything of it was written last, for those who follow.
-- own_told_at, all_told_at: the latest alert of the scope's last episode. platforms: numbers, each between commas. draft: JSON. undo_*: what a decision that can still be taken back leads back to.
ALTER TABLE cases ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE cases ADD COLUMN waiting_since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN desk BIGINT NOT NULL DEFAULT 1;
ALTER TABLE cases ADD COLUMN held_until BIGINT;
ALTER TABLE cases ADD COLUMN lane BIGINT NOT NULL DEFAULT 5;
ALTER TABLE cases ADD COLUMN severity DOUBLE PRECISION NOT NULL DEFAULT 1;
ALTER TABLE cases ADD COLUMN platforms TEXT NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN draft TEXT;
ALTER TABLE cases ADD COLUMN undo_until BIGINT;
ALTER TABLE cases ADD COLUMN undo_resting BIGINT;
ALTER TABLE cases ADD COLUMN undo_desk BIGINT;
ALTER TABLE cases ADD COLUMN undo_decision_id TEXT;
ALTER TABLE cases ADD COLUMN touched_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN first_seen BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN first_claimed_at BIGINT;
ALTER TABLE cases ADD COLUMN first_decided_at BIGINT;
ALTER TABLE cases ADD COLUMN own_told_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN all_told_at BIGINT NOT NULL DEFAULT 0;
UPDATE cases SET waiting_since = opened_at, first_seen = first_alert_at, own_told_at = CASE own_going_on WHEN 1 THEN first_alert_at ELSE last_alert_at END,
    all_told_at = CASE all_going_on WHEN 1 THEN first_alert_at ELSE last_alert_at END,
    first_decided_at = (SELECT min(d.decided_at) FROM decisions d WHERE d.case_id = cases.case_id);
CREATE INDEX cases_waiting ON cases (team, resting, waiting_since, case_id);
CREATE INDEX cases_opened ON cases (team, opened_at);
CREATE INDEX cases_touched ON cases (touched_at, case_id);
CREATE INDEX cases_held_by ON cases (lease_holder);

-- grounds: JSON. A decision that was taken back never went out.
ALTER TABLE decisions ADD COLUMN grounds TEXT NOT NULL DEFAULT '{}';
ALTER TABLE decisions ADD COLUMN withdrawn_at BIGINT;

-- due_at: nothing is published before.
ALTER TABLE decision_outbox ADD COLUMN due_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX decision_outbox_decision ON decision_outbox (decision_id);

-- What people did with a case. about: the other key, the desk or the decision. Grows with what people do.
CREATE TABLE case_history (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    at BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    about TEXT NOT NULL,
    note TEXT NOT NULL
);
CREATE INDEX case_history_of_case ON case_history (case_id, sequence);
CREATE INDEX case_history_of_key ON case_history (key_id, kind, at);

-- How many best cases each team claimed: every so many is the one that waits longest.
CREATE TABLE claim_counts (
    team BIGINT PRIMARY KEY,
    claims BIGINT NOT NULL
);

-- Whose key it is, where it is a person's.
ALTER TABLE api_keys ADD COLUMN person TEXT;
-- A team knows its people by their names.
CREATE UNIQUE INDEX api_keys_person ON api_keys (subject, person) WHERE revoked_at IS NULL;
