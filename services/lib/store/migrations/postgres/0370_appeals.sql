-- Appeals against a team's decisions and against refused uploads. against: 1 a decision, 2 a block. content: JSON, its hash; content_id, family: as they were known when it was
-- filed. case_id, decision_id: what it comes down to, null where an upload was refused by a listing alone. outcome: 1 upheld, 2 overturned. concerns: 1 upload, 2 member, 3 family.
-- cause: 1 judgement, 2 equal hash, 3 near picture, 4 frames, 5 said so, 6 listing, 7 label. answered_with: the appeal that it was answered with. Rows are kept.
CREATE TABLE appeals (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    appeal_id TEXT NOT NULL UNIQUE,
    team BIGINT NOT NULL,
    reference TEXT NOT NULL,
    platform_id BIGINT NOT NULL,
    content TEXT NOT NULL,
    content_id TEXT NOT NULL,
    against BIGINT NOT NULL,
    reason TEXT NOT NULL,
    family TEXT NOT NULL,
    case_id TEXT REFERENCES cases (case_id),
    decision_id TEXT REFERENCES decisions (decision_id),
    filed_by TEXT NOT NULL,
    filed_at BIGINT NOT NULL,
    fencing BIGINT NOT NULL,
    lease_holder TEXT,
    lease_expires_at BIGINT,
    outcome BIGINT,
    concerns BIGINT,
    cause BIGINT,
    verdict BIGINT,
    answer_note TEXT,
    answered_at BIGINT,
    answered_by TEXT,
    answered_under BIGINT,
    answered_with TEXT,
    UNIQUE (team, reference)
);
CREATE INDEX appeals_of_team ON appeals (team, sequence);
CREATE INDEX appeals_open ON appeals (team, filed_at, sequence) WHERE outcome IS NULL;
CREATE INDEX appeals_open_of_family ON appeals (team, family) WHERE outcome IS NULL;
CREATE INDEX appeals_of_case ON appeals (case_id);
CREATE INDEX appeals_answered ON appeals (team, answered_at) WHERE outcome IS NOT NULL;
CREATE INDEX appeals_held ON appeals (lease_holder) WHERE lease_holder IS NOT NULL;

-- Members that the decisions of a team made before excepted_at are not about: an appeal said so.
CREATE TABLE appeal_exceptions (
    team BIGINT NOT NULL,
    content TEXT NOT NULL,
    appeal_id TEXT NOT NULL REFERENCES appeals (appeal_id),
    excepted_at BIGINT NOT NULL,
    PRIMARY KEY (team, content)
);
