-- The highest page score of each episode and when it paged: what the calibrator goes by. Times are those of the alerts.
-- class: 0 all, 1 coordinators, 2 + party id.
CREATE TABLE page_episodes (
    class BIGINT NOT NULL,
    family TEXT NOT NULL,
    episode BIGINT NOT NULL,
    raised_at BIGINT NOT NULL,
    peak DOUBLE PRECISION NOT NULL,
    paged_at BIGINT,
    PRIMARY KEY (class, family, episode)
);
CREATE INDEX page_episodes_age ON page_episodes (raised_at);

-- Thresholds that were set. published: whether the log has it in every partition.
CREATE TABLE calibrations (
    number BIGINT PRIMARY KEY,
    effective_from BIGINT NOT NULL,
    page_threshold DOUBLE PRECISION NOT NULL,
    pages_per_day DOUBLE PRECISION NOT NULL,
    episodes BIGINT NOT NULL,
    made_at BIGINT NOT NULL,
    published BIGINT NOT NULL CHECK (published IN (0, 1))
);

-- One row: which dispatcher sets thresholds and publishes the watch list, and since when episodes are kept.
CREATE TABLE calibrator (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    holder TEXT NOT NULL,
    held_until BIGINT NOT NULL,
    observing_since BIGINT
);
INSERT INTO calibrator (only_row, holder, held_until) VALUES (1, '', 0);

-- One row: the number of the latest change of the watch list.
CREATE TABLE watch_list (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    number BIGINT NOT NULL
);
INSERT INTO watch_list (only_row, number) VALUES (1, 0);

-- Who watches what.
CREATE TABLE watch_sources (
    algorithm BIGINT NOT NULL,
    value BYTEA NOT NULL,
    source TEXT NOT NULL,
    severity BIGINT NOT NULL CHECK (severity BETWEEN 1 AND 4),
    listed_at BIGINT NOT NULL,
    PRIMARY KEY (algorithm, value, source)
);

-- The latest change of each content, until it is published; of a listed content for ever.
CREATE TABLE watch_changes (
    algorithm BIGINT NOT NULL,
    value BYTEA NOT NULL,
    number BIGINT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    published BIGINT NOT NULL CHECK (published IN (0, 1)),
    PRIMARY KEY (algorithm, value)
);
CREATE INDEX watch_changes_to_publish ON watch_changes (published, number);
