-- Where alerts and decisions are delivered to. Rows are never deleted, so names are never used again: ids of deliveries derive from them.
-- team: 1 coordinators, 2 + party id. kind: 1 webhook, 2 kafka, 3 osprey, 4 coop, 5 ozone. settings: a JSON object of text.
CREATE TABLE endpoints (
    endpoint TEXT PRIMARY KEY,
    team INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    target TEXT NOT NULL,
    settings TEXT NOT NULL,
    secret TEXT NOT NULL,
    former_secret TEXT,
    former_until INTEGER,
    added_at INTEGER NOT NULL,
    disabled_at INTEGER,
    disabled_reason TEXT,
    CHECK ((former_secret IS NULL) = (former_until IS NULL)),
    CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
) STRICT;

-- What is delivered, once for all endpoints. kind: 1 an alert, 2 a decision. document: JSON.
CREATE TABLE delivery_events (
    event_id TEXT PRIMARY KEY,
    kind INTEGER NOT NULL CHECK (kind IN (1, 2)),
    document TEXT NOT NULL,
    added_at INTEGER NOT NULL
) STRICT;
CREATE INDEX delivery_events_age ON delivery_events (added_at);

-- One event on its way to one endpoint. Written in the transaction that applies the alert or writes the decision.
-- state: 1 waiting, 2 delivered, 3 dead. due_at: when it is tried next; while it is being tried, when it is given out again.
CREATE TABLE deliveries (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id TEXT NOT NULL UNIQUE,
    endpoint TEXT NOT NULL REFERENCES endpoints (endpoint),
    event_id TEXT NOT NULL REFERENCES delivery_events (event_id),
    added_at INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (1, 2, 3)),
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    settled_at INTEGER,
    reason TEXT
) STRICT;
CREATE INDEX deliveries_due ON deliveries (state, endpoint, due_at);
CREATE INDEX deliveries_of_event ON deliveries (event_id);
