-- in_research: 1 the party takes part in the daily aggregates for researchers; 0 it does not. in_research_since: since when; days that had begun are without it.
-- kind: 1 it has platforms, 2 it does research: it has none, and its keys read aggregates and the audit chain of their own team alone.
ALTER TABLE parties ADD COLUMN in_research BIGINT NOT NULL DEFAULT 0;
ALTER TABLE parties ADD COLUMN in_research_since BIGINT;
ALTER TABLE parties ADD COLUMN kind BIGINT NOT NULL DEFAULT 1;

-- Days as they were published: rounded and suppressed numbers alone. document: JSON; digest: its SHA-256, hexadecimal. Rows are kept and never change.
CREATE TABLE research_days (
    day TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    published_at BIGINT NOT NULL,
    populations BIGINT NOT NULL,
    digest TEXT NOT NULL,
    document TEXT NOT NULL
);

-- What is counted of a day.
CREATE INDEX cases_rang ON cases (team, first_alert_at, case_id);
CREATE INDEX cases_first_decided ON cases (team, first_decided_at, case_id);
CREATE INDEX case_clocks_at ON case_clocks (clock, at);
