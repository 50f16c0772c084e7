-- What spoke for a family when it was decided, as a sum: 1 labels, 2 a hash list, 4 that it has several members. Of what was decided earlier: 0.
ALTER TABLE decisions ADD COLUMN evidence INTEGER NOT NULL DEFAULT 0;

-- Families that an appeal overturned because of some evidence. Written in the transaction that answers the appeal.
CREATE TABLE overturned_families (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    appeal_id TEXT NOT NULL UNIQUE REFERENCES appeals (appeal_id),
    team INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    overturned_at INTEGER NOT NULL,
    -- Of the weighing that the key groups are told: in the order of these numbers it is said. NULL: not numbered yet.
    number INTEGER UNIQUE,
    -- When it was numbered, by the log's ticks, and what it says: kind, stood and overturned of each kind, separated by spaces.
    said_at INTEGER,
    counts TEXT,
    published INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX overturned_of_team ON overturned_families (team, overturned_at);
CREATE INDEX overturned_unpublished ON overturned_families (sequence) WHERE published = 0;
