-- Banks: named lists of hashes. A bank stands for one list, which is replaced as a whole; what a source lists one by one goes into a bank
-- that has its name. sampled_ppm: which part of it is listed, in parts per million.
CREATE TABLE watch_banks (
    bank INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    severity INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 4),
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    sampled_ppm INTEGER NOT NULL CHECK (sampled_ppm BETWEEN 0 AND 1000000),
    list INTEGER NOT NULL UNIQUE,
    changed_at INTEGER NOT NULL
) STRICT;

-- state: 0 is being written, 1 is that of its bank, 2 is to be forgotten. Numbers are those of changes of the watch list.
CREATE TABLE watch_lists (
    list INTEGER PRIMARY KEY,
    bank INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    entries INTEGER NOT NULL,
    touched_at INTEGER NOT NULL
) STRICT;

-- severity: where the entry says otherwise than its bank. tags: separated by spaces.
CREATE TABLE watch_entries (
    list INTEGER NOT NULL,
    algorithm INTEGER NOT NULL,
    value BLOB NOT NULL,
    severity INTEGER CHECK (severity BETWEEN 1 AND 4),
    source_id TEXT,
    tags TEXT,
    listed_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (list, algorithm, value)
) STRICT, WITHOUT ROWID;

-- What parties hold of one hash. opinion: 0 negative, 1 investigation seed, 2 positive.
CREATE TABLE watch_opinions (
    list INTEGER NOT NULL,
    algorithm INTEGER NOT NULL,
    value BLOB NOT NULL,
    party TEXT NOT NULL,
    opinion INTEGER NOT NULL CHECK (opinion IN (0, 1, 2)),
    PRIMARY KEY (list, algorithm, value, party)
) STRICT, WITHOUT ROWID;

INSERT INTO watch_banks (bank, name, source, severity, enabled, sampled_ppm, list, changed_at)
    SELECT row_number() OVER (ORDER BY name), name, source, 1, 1, 1000000, row_number() OVER (ORDER BY name), changed_at FROM (
        SELECT upper(replace(source, '-', '_')) AS name, min(source) AS source, max(listed_at) AS changed_at
        FROM watch_sources GROUP BY upper(replace(source, '-', '_'))
    ) AS named;
INSERT INTO watch_entries (list, algorithm, value, severity, listed_at, updated_at)
    SELECT b.list, s.algorithm, s.value, max(s.severity), min(s.listed_at), max(s.listed_at)
    FROM watch_sources s JOIN watch_banks b ON b.name = upper(replace(s.source, '-', '_')) GROUP BY b.list, s.algorithm, s.value;
INSERT INTO watch_lists (list, bank, state, entries, touched_at)
    SELECT b.list, b.bank, 1, (SELECT count(*) FROM watch_entries e WHERE e.list = b.list), b.changed_at FROM watch_banks b;

-- Contents whose listing may have changed one by one, until that is published. Every change of a content has a new number.
CREATE TABLE watch_pending (
    algorithm INTEGER NOT NULL,
    value BLOB NOT NULL,
    number INTEGER NOT NULL UNIQUE,
    source TEXT NOT NULL,
    PRIMARY KEY (algorithm, value)
) STRICT, WITHOUT ROWID;
INSERT INTO watch_pending (algorithm, value, number, source)
    SELECT algorithm, value, number, source FROM watch_changes WHERE published = 0;
DROP TABLE watch_changes;
DROP TABLE watch_sources;

-- Banks of which everything may have changed: another list, or other settings. It is published in the order of the hashes; algorithm and
-- value say how far.
CREATE TABLE watch_sweeps (
    sweep INTEGER PRIMARY KEY,
    bank INTEGER NOT NULL,
    before_list INTEGER NOT NULL,
    after_list INTEGER NOT NULL,
    algorithm INTEGER NOT NULL,
    value BLOB NOT NULL
) STRICT;

-- Lists elsewhere that are followed: where to go on, and how the last attempt ended.
CREATE TABLE watch_follows (
    name TEXT PRIMARY KEY,
    checkpoint TEXT,
    attempted_at INTEGER NOT NULL,
    advanced_at INTEGER,
    problem TEXT
) STRICT;
