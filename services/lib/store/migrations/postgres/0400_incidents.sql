-- Sharing groups: names are never used again. team: 1 coordinators, 2 + party id.
CREATE TABLE sharing_groups (
    group_name TEXT PRIMARY KEY,
    added_at BIGINT NOT NULL
);
CREATE TABLE sharing_group_members (
    group_name TEXT NOT NULL REFERENCES sharing_groups (group_name),
    team BIGINT NOT NULL,
    PRIMARY KEY (group_name, team)
);
CREATE INDEX sharing_group_members_team ON sharing_group_members (team);

-- The text of every protocol that was added or that an incident keeps. Never changed.
CREATE TABLE protocols (
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    text TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    PRIMARY KEY (name, version)
);

-- document: the incident as its events have made it, JSON of this format. phase: 1 declared, 2 active, 3 concluded. rules: how many it has.
CREATE TABLE incidents (
    incident_id TEXT PRIMARY KEY,
    declared_at BIGINT NOT NULL,
    phase BIGINT NOT NULL CHECK (phase IN (1, 2, 3)),
    rules BIGINT NOT NULL,
    format BIGINT NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX incidents_declared ON incidents (declared_at, incident_id);
CREATE INDEX incidents_open ON incidents (phase, rules);

-- What happened to an incident: never changed, never deleted. key_id, team: who did it; a rule where they are absent. document: JSON of this format.
CREATE TABLE incident_events (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    incident_id TEXT NOT NULL REFERENCES incidents (incident_id),
    at BIGINT NOT NULL,
    key_id TEXT,
    team BIGINT,
    format BIGINT NOT NULL,
    document TEXT NOT NULL,
    CHECK ((key_id IS NULL) = (team IS NULL))
);
CREATE INDEX incident_events_of_incident ON incident_events (incident_id, sequence);

-- What an alert was about: incidents are declared from alerts. class: 0 all, 1 coordinators, 2 + party id. Absent of those applied before.
ALTER TABLE applied_alerts ADD COLUMN family TEXT;
ALTER TABLE applied_alerts ADD COLUMN class BIGINT;

-- kind: 1 an alert, 2 a decision, 10 a message about an incident. Without its former CHECK: the program knows the kinds.
ALTER TABLE delivery_events DROP CONSTRAINT IF EXISTS delivery_events_kind_check;
