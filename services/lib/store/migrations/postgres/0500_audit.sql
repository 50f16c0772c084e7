-- The audit chain: one chain for each kind of node. Rows are only ever added; audit_personal alone is erased from.

-- Where each chain ends. Whoever appends holds this row until the end of the transaction.
CREATE TABLE audit_chains (
    node TEXT PRIMARY KEY,
    records BIGINT NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32)
);

-- body: the bytes of the record; hash: what it makes with the hash before it. team: as in the body, to find those of one: NULL the command line,
-- 0 operator, 1 coordinators, 2 + party id.
CREATE TABLE audit_records (
    node TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    team BIGINT,
    body BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (node, sequence)
);
CREATE INDEX audit_records_of_team ON audit_records (team, node, sequence);

-- Personal fields of records in the clear, with the salts of their digests. field: as in the body.
CREATE TABLE audit_personal (
    node TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    field BIGINT NOT NULL,
    salt BYTEA NOT NULL,
    clear TEXT NOT NULL,
    PRIMARY KEY (node, sequence, field)
);
