-- A case may be opened by a notice, before any alert or without one: then alert and alert_id are empty, first_seen and first_alert_at are
-- 9223372036854775807 and last_alert_at is -9223372036854775808, as the least and the greatest of no times. hash: JSON, what the case is about; empty
-- in rows of before, whose alert says it. open_notices, due_at: what the case's notices that are not answered come to.
ALTER TABLE cases ADD COLUMN hash TEXT NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN open_notices INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN due_at INTEGER;
CREATE INDEX cases_due ON cases (team, due_at, case_id) WHERE due_at IS NOT NULL;

-- What authorities and flaggers want of a team. kind: 1 removal order, 2 trusted flagger, 3 referral, 4 an authority was told of a threat to life.
-- part: which of the contents that one reference names; content: JSON, its hash, null where a case was named. ground: 1 impossible, 2 manifest errors, 3 insufficient information. outcome: 1 removed,
-- 2 disabled, 3 kept, 4 withdrawn, 5 replied. urls: a JSON list. overdue_at: when it was escalated because due_at had passed. Rows are kept.
CREATE TABLE notices (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    notice_id TEXT NOT NULL UNIQUE,
    team INTEGER NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    kind INTEGER NOT NULL,
    authority TEXT NOT NULL,
    reference TEXT NOT NULL,
    part INTEGER NOT NULL,
    content TEXT,
    platform_id INTEGER,
    received_at INTEGER NOT NULL,
    asked_due_at INTEGER,
    urls TEXT NOT NULL,
    statement TEXT NOT NULL,
    filed_by TEXT NOT NULL,
    filed_at INTEGER NOT NULL,
    due_at INTEGER,
    ground INTEGER,
    suspended_note TEXT,
    suspended_at INTEGER,
    suspended_by TEXT,
    outcome INTEGER,
    answer_note TEXT,
    answered_at INTEGER,
    answered_by TEXT,
    overdue_at INTEGER,
    UNIQUE (team, authority, reference, part)
) STRICT;
CREATE INDEX notices_of_case ON notices (case_id, sequence);
CREATE INDEX notices_of_team ON notices (team, sequence);
CREATE INDEX notices_open ON notices (team) WHERE outcome IS NULL;
CREATE INDEX notices_running ON notices (due_at, sequence)
    WHERE due_at IS NOT NULL AND ground IS NULL AND outcome IS NULL AND overdue_at IS NULL;
