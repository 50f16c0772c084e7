-- That this store is of a drill, in one row; of a store of real things it is empty. made_at: when it was made.
CREATE TABLE drill_mark (
    drill_id TEXT PRIMARY KEY,
    scenario TEXT NOT NULL,
    made_at BIGINT NOT NULL
);

-- 1: registered for drills alone. Of a store of real things such an endpoint gets nothing; of a drill's it is the only kind that does.
ALTER TABLE endpoints ADD COLUMN drill BIGINT NOT NULL DEFAULT 0;
