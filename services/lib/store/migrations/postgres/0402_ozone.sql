-- How far the events of each Ozone that decisions are taken from were read: created up to then, by Ozone's clock.
CREATE TABLE ozone_positions (
    endpoint TEXT PRIMARY KEY,
    read_through BIGINT NOT NULL
);
-- What became of each event that was looked at: its number in Ozone. Kept for longer than an event is read again.
CREATE TABLE ozone_events (
    endpoint TEXT NOT NULL,
    event BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    taken_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint, event)
);
CREATE INDEX ozone_events_taken ON ozone_events (taken_at);
