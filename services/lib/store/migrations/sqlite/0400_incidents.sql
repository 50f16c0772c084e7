-- Sharing groups: names are never used again. team: 1 coordinators, 2 + party id.
CREATE TABLE sharing_groups (
    group_name TEXT PRIMARY KEY,
    added_at INTEGER NOT NULL
) STRICT;
CREATE TABLE sharing_group_members (
    group_name TEXT NOT NULL REFERENCES sharing_groups (group_name),
    team INTEGER NOT NULL,
    PRIMARY KEY (group_name, team)
) STRICT;
CREATE INDEX sharing_group_members_team ON sharing_group_members (team);

-- The text of every protocol that was added or that an incident keeps. Never changed.
CREATE TABLE protocols (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    text TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT;

-- document: the incident as its events have made it, JSON of this format. phase: 1 declared, 2 active, 3 concluded. rules: how many it has.
CREATE TABLE incidents (
    incident_id TEXT PRIMARY KEY,
    declared_at INTEGER NOT NULL,
    phase INTEGER NOT NULL CHECK (phase IN (1, 2, 3)),
    rules INTEGER NOT NULL,
    format INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX incidents_declared ON incidents (declared_at, incident_id);
CREATE INDEX incidents_open ON incidents (phase, rules);

-- What happened to an incident: never changed, never deleted. key_id, team: who did it; a rule where they are absent. document: JSON of this format.
CREATE TABLE incident_events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    incident_id TEXT NOT NULL REFERENCES incidents (incident_id),
    at INTEGER NOT NULL,
    key_id TEXT,
    team INTEGER,
    format INTEGER NOT NULL,
    document TEXT NOT NULL,
    CHECK ((key_id IS NULL) = (team IS NULL))
) STRICT;
CREATE INDEX incident_events_of_incident ON incident_events (incident_id, sequence);

-- What an alert was about: incidents are declared from alerts. class: 0 all, 1 coordinators, 2 + party id. Absent of those applied before.
ALTER TABLE applied_alerts ADD COLUMN family TEXT;
ALTER TABLE applied_alerts ADD COLUMN class INTEGER;

-- kind: 1 an alert, 2 a decision, 10 a message about an incident. A column without its former CHECK: the program knows the kinds.
ALTER TABLE delivery_events ADD COLUMN event_kind INTEGER NOT NULL DEFAULT 0;
UPDATE delivery_events SET event_kind = kind;
ALTER TABLE delivery_events DROP COLUMN kind;
ALTER TABLE delivery_events RENAME COLUMN event_kind TO kind;
