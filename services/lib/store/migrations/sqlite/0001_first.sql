-- Times are milliseconds since 1970. Ids of cases, decisions, keys, families and alerts are lower-case hexadecimal text.

-- One row: the version of the party registry, raised by every change of it.
CREATE TABLE registry (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO registry (only_row, version) VALUES (1, 0);

-- Rows are never deleted, so numbers and names are never used again.
CREATE TABLE parties (
    party_id INTEGER PRIMARY KEY CHECK (party_id BETWEEN 1 AND 65535),
    name TEXT NOT NULL UNIQUE,
    added_at INTEGER NOT NULL,
    revoked_at INTEGER,
    version INTEGER NOT NULL
) STRICT;

CREATE TABLE platforms (
    platform_id INTEGER PRIMARY KEY CHECK (platform_id BETWEEN 1 AND 65535),
    party_id INTEGER NOT NULL REFERENCES parties (party_id),
    name TEXT NOT NULL UNIQUE
) STRICT;

-- subject: 0 operator, 1 coordinators, 2 + party id.
CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY,
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32),
    subject INTEGER NOT NULL,
    roles TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

-- team: 1 coordinators, 2 + party id. resting: 1 open, 2 decided, 3 closed.
CREATE TABLE cases (
    case_id TEXT PRIMARY KEY,
    team INTEGER NOT NULL,
    family TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    first_alert_at INTEGER NOT NULL,
    last_alert_at INTEGER NOT NULL,
    own_episode INTEGER NOT NULL,
    own_going_on INTEGER NOT NULL CHECK (own_going_on IN (0, 1)),
    all_episode INTEGER NOT NULL,
    all_going_on INTEGER NOT NULL CHECK (all_going_on IN (0, 1)),
    priority REAL NOT NULL,
    alert_id TEXT NOT NULL,
    alert TEXT NOT NULL,
    resting INTEGER NOT NULL CHECK (resting IN (1, 2, 3)),
    fencing INTEGER NOT NULL,
    lease_holder TEXT,
    lease_expires_at INTEGER,
    decision_id TEXT,
    UNIQUE (family, team),
    CHECK ((lease_holder IS NULL) = (lease_expires_at IS NULL))
) STRICT;
CREATE INDEX cases_queue ON cases (team, resting, priority DESC, case_id);

-- Alerts that were applied, so that none is applied twice.
CREATE TABLE applied_alerts (
    alert_id TEXT PRIMARY KEY,
    applied_at INTEGER NOT NULL
) STRICT;
CREATE INDEX applied_alerts_age ON applied_alerts (applied_at);

CREATE TABLE decisions (
    decision_id TEXT PRIMARY KEY,
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    verdict INTEGER NOT NULL,
    rationale TEXT NOT NULL,
    decided_by TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    fencing INTEGER NOT NULL
) STRICT;
CREATE INDEX decisions_of_case ON decisions (case_id, decided_at);

-- Decisions that are not yet on the log. Written in the transaction that writes the decision.
CREATE TABLE decision_outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    decision_id TEXT NOT NULL REFERENCES decisions (decision_id),
    taken_until INTEGER NOT NULL
) STRICT;
