-- The highest page score of each episode and when it paged: what the calibrator goes by. Times are those of the alerts.
-- class: 0 all, 1 coordinators, 2 + party id.
CREATE TABLE page_episodes (
    class INTEGER NOT NULL,
    family TEXT NOT NULL,
    episode INTEGER NOT NULL,
    raised_at INTEGER NOT NULL,
    peak REAL NOT NULL,
    paged_at INTEGER,
    PRIMARY KEY (class, family, episode)
) STRICT;
CREATE INDEX page_episodes_age ON page_episodes (raised_at);

-- Thresholds that were set. published: whether the log has it in every partition.
CREATE TABLE calibrations (
    number INTEGER PRIMARY KEY,
    effective_from INTEGER NOT NULL,
    page_threshold REAL NOT NULL,
    pages_per_day REAL NOT NULL,
    episodes INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    published INTEGER NOT NULL CHECK (published IN (0, 1))
) STRICT;

-- One row: which dispatcher sets thresholds and publishes the watch list, and since when episodes are kept.
CREATE TABLE calibrator (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    holder TEXT NOT NULL,
    held_until INTEGER NOT NULL,
    observing_since INTEGER
) STRICT;
INSERT INTO calibrator (only_row, holder, held_until) VALUES (1, '', 0);

-- One row: the number of the latest change of the watch list.
CREATE TABLE watch_list (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO watch_list (only_row, number) VALUES (1, 0);

-- Who watches what.
CREATE TABLE watch_sources (
    algorithm INTEGER NOT NULL,
    value BLOB NOT NULL,
    source TEXT NOT NULL,
    severity INTEGER NOT NULL CHECK (severity BETWEEN 1 AND 4),
    listed_at INTEGER NOT NULL,
    PRIMARY KEY (algorithm, value, source)
) STRICT;

-- The latest change of each content, until it is published; of a listed content for ever.
CREATE TABLE watch_changes (
    algorithm INTEGER NOT NULL,
    value BLOB NOT NULL,
    number INTEGER NOT NULL UNIQUE,
    source TEXT NOT NULL,
    published INTEGER NOT NULL CHECK (published IN (0, 1)),
    PRIMARY KEY (algorithm, value)
) STRICT;
CREATE INDEX watch_changes_to_publish ON watch_changes (published, number);
