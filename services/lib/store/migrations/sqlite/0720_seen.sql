-- What is told of a case beside its alert. noticed_platforms: those that its notices name; seen_*: what the state told last of its family, as of seen_at, by the groups' time:
-- platforms (each number between commas, empty where there is none), severity, and its live streams (JSON, empty where there are none).
ALTER TABLE cases ADD COLUMN noticed_platforms TEXT NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN seen_at INTEGER;
ALTER TABLE cases ADD COLUMN seen_platforms TEXT NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN seen_severity REAL NOT NULL DEFAULT 1;
ALTER TABLE cases ADD COLUMN seen_live TEXT NOT NULL DEFAULT '';
UPDATE cases SET noticed_platforms = (SELECT ',' || group_concat(named.platform_id, ',') || ',' FROM (SELECT DISTINCT n.platform_id FROM notices n
    WHERE n.case_id = cases.case_id AND n.platform_id IS NOT NULL ORDER BY n.platform_id) named)
    WHERE case_id IN (SELECT n.case_id FROM notices n WHERE n.platform_id IS NOT NULL);
UPDATE cases SET platforms = CASE WHEN platforms IN ('', ',') THEN noticed_platforms ELSE platforms || substr(noticed_platforms, 2) END WHERE noticed_platforms <> '';

-- What somebody did that no case's history tells: second reviews, which are blind, and appeals. kind: claimed, released, answered; severity: of what was looked at. For that person
-- alone, and not kept for long.
CREATE TABLE shift_steps (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    key_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    severity REAL NOT NULL
) STRICT;
CREATE INDEX shift_steps_of_key ON shift_steps (key_id, at);
CREATE INDEX shift_steps_over ON shift_steps (at);

-- Families that a team told others of, and when first: by an opinion in a bank, in an incident that others read, or in a pack of it. The clock *shared* of the team's case follows.
CREATE TABLE shared_families (
    team INTEGER NOT NULL,
    family TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (team, family)
) STRICT;
CREATE INDEX shared_families_lately ON shared_families (at);

-- held_at: since when a party holds it, by the store's clock; null of what a list brought.
ALTER TABLE watch_opinions ADD COLUMN held_at INTEGER;
