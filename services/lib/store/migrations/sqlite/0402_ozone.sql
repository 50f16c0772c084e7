-- How far the events of each Ozone that decisions are taken from were read: created up to then, by Ozone's clock.
CREATE TABLE ozone_positions (
    endpoint TEXT PRIMARY KEY,
    read_through INTEGER NOT NULL
);
-- What became of each event that was looked at: its number in Ozone, and when it was created, by Ozone's clock where it says so. Kept as long as it is
-- read again.
CREATE TABLE ozone_events (
    endpoint TEXT NOT NULL,
    event INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (endpoint, event)
);
CREATE INDEX ozone_events_created ON ozone_events (endpoint, created_at);
