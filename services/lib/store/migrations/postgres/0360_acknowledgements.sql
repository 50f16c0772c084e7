-- Decisions of parties of which their own platforms confirm by events what they did. awaits: 1 removal, 2 restore. out_at: when the decision was out.
-- since: since when something is not confirmed; null while nothing is waited for. told: how many of the times at which somebody is told are over;
-- due_at: the next of them.
CREATE TABLE awaited_decisions (
    decision_id TEXT PRIMARY KEY REFERENCES decisions (decision_id),
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    awaits BIGINT NOT NULL,
    out_at BIGINT NOT NULL,
    since BIGINT,
    told BIGINT NOT NULL,
    due_at BIGINT
);
CREATE INDEX awaited_decisions_due ON awaited_decisions (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX awaited_decisions_out ON awaited_decisions (out_at, decision_id);
CREATE INDEX awaited_decisions_unconfirmed ON awaited_decisions (since, decision_id) WHERE since IS NOT NULL;
CREATE INDEX awaited_decisions_of_case ON awaited_decisions (case_id);

-- What one platform confirms of one member. hash: JSON. asked, answered: what is to be answered and what answers it, as last heard; settled_*: both when
-- it was confirmed last. returned: how much came after a confirmation. as_of: up to when what was heard last counts. recommended_at: when it was recommended again without a person. Rows are kept: they
-- grow with the members of decided families.
CREATE TABLE acknowledgements (
    decision_id TEXT NOT NULL REFERENCES awaited_decisions (decision_id),
    content TEXT NOT NULL,
    platform_id BIGINT NOT NULL,
    hash TEXT NOT NULL,
    asked BIGINT NOT NULL,
    answered BIGINT NOT NULL,
    confirmed_at BIGINT,
    settled_asked BIGINT,
    settled_answered BIGINT,
    returned BIGINT NOT NULL,
    as_of BIGINT NOT NULL,
    recommended_at BIGINT,
    PRIMARY KEY (decision_id, content, platform_id)
);

CREATE INDEX acknowledgements_of_content ON acknowledgements (content);

-- on_reupload: 1 the case comes back, 2 the same recommendation goes out again without a person where members came closely.
ALTER TABLE parties ADD COLUMN on_reupload BIGINT NOT NULL DEFAULT 1;
