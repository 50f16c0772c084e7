-- What is kept of a party's data about a case, whatever happens to the original. basis: 1 removal order, 2 complaint, 3 review, 4 investigation, 5 another law.
-- origin: 1 a person, 2 a notice, 3 an appeal; origin_id: the key, the notice or the appeal. until_at: the first moment at which it no longer holds.
-- required_until: before it nobody releases it. seal_attempt: rises with each dispatcher that begins to copy; seal_claimed_until: until when no other does.
-- manifest: the SHA-256 of what was copied, hexadecimal. Rows are kept.
CREATE TABLE preservations (
    sequence BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    preservation_id TEXT NOT NULL UNIQUE,
    team BIGINT NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    basis BIGINT NOT NULL,
    basis_text TEXT NOT NULL,
    basis_reference TEXT NOT NULL,
    origin BIGINT NOT NULL,
    origin_id TEXT NOT NULL,
    placed_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    required_until BIGINT,
    extensions BIGINT NOT NULL,
    exports BIGINT NOT NULL,
    ended_at BIGINT,
    ended_by TEXT,
    seal_attempt BIGINT NOT NULL,
    seal_claimed_until BIGINT NOT NULL,
    sealed_at BIGINT,
    manifest TEXT,
    events BIGINT,
    bytes BIGINT,
    is_cut BIGINT,
    deleted_at BIGINT
);
CREATE INDEX preservations_of_team ON preservations (team, sequence);
CREATE INDEX preservations_of_case ON preservations (case_id, sequence);
CREATE INDEX preservations_running ON preservations (until_at, sequence) WHERE ended_at IS NULL;
CREATE INDEX preservations_waiting ON preservations (team, sequence) WHERE sealed_at IS NULL AND ended_at IS NULL;
CREATE INDEX preservations_left ON preservations (sequence) WHERE ended_at IS NOT NULL AND deleted_at IS NULL;

-- What was done with what is preserved: signed entries, each behind the one before, as they stand in an archive. Rows are kept.
CREATE TABLE custody (
    preservation_id TEXT NOT NULL REFERENCES preservations (preservation_id),
    sequence BIGINT NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (preservation_id, sequence)
);
