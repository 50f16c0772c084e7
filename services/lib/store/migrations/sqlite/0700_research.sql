-- in_research: 1 the party takes part in the daily aggregates for researchers; 0 it does not. in_research_since: since when; days that had begun are without it.
-- kind: 1 it has platforms, 2 it does research: it has none, and its keys read aggregates and the audit chain of their own team alone.
ALTER TABLE parties ADD COLUMN in_research INTEGER NOT NULL DEFAULT 0;
ALTER TABLE parties ADD COLUMN in_research_since INTEGER;
ALTER TABLE parties ADD COLUMN kind INTEGER NOT NULL DEFAULT 1;

-- Days as they were published: rounded and suppressed numbers alone. document: JSON; digest: its SHA-256, hexadecimal. Rows are kept and never change.
CREATE TABLE research_days (
    day TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    populations INTEGER NOT NULL,
    digest TEXT NOT NULL,
    document TEXT NOT NULL
) STRICT;

-- What is counted of a day.
CREATE INDEX cases_rang ON cases (team, first_alert_at, case_id);
CREATE INDEX cases_first_decided ON cases (team, first_decided_at, case_id);
CREATE INDEX case_clocks_at ON case_clocks (clock, at);
