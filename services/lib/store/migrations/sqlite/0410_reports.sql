-- What reports read, by time: see the decision record on them.
CREATE INDEX notices_received ON notices (team, received_at, sequence);
CREATE INDEX decisions_decided ON decisions (decided_at, decision_id);

-- in_reports: 1 the party may be named among those who took part in incidents, and its platforms by how fast they were; 0 it may not.
ALTER TABLE parties ADD COLUMN in_reports INTEGER NOT NULL DEFAULT 0;

-- carried_from: the case whose merge opened this one, or brought a copy of its decision here. Reports count nothing twice by it.
ALTER TABLE cases ADD COLUMN carried_from TEXT;
ALTER TABLE decisions ADD COLUMN carried_from TEXT;
