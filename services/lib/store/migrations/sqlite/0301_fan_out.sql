-- Decisions that the members of their families are still to be told of, each on its own. due_at: not before.
CREATE TABLE decision_fans (
    decision_id TEXT PRIMARY KEY REFERENCES decisions (decision_id),
    due_at INTEGER NOT NULL
) STRICT;
CREATE INDEX decision_fans_due ON decision_fans (due_at);

-- Which decision of a team each member was told of last. said_at: when a group said to which family the member belongs. Grows with the members of
-- families that were decided about.
CREATE TABLE member_decisions (
    team INTEGER NOT NULL,
    content TEXT NOT NULL,
    decision_id TEXT NOT NULL REFERENCES decisions (decision_id),
    said_at INTEGER NOT NULL,
    told_at INTEGER NOT NULL,
    PRIMARY KEY (team, content)
) STRICT;
CREATE INDEX member_decisions_of ON member_decisions (decision_id);
