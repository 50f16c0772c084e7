-- The hashes of the packs of incidents: never changed. document: JSON of this format.
CREATE TABLE incident_packs (
    incident_id TEXT NOT NULL REFERENCES incidents (incident_id),
    number BIGINT NOT NULL,
    format BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (incident_id, number)
);

-- What is signed with: a seed of Ed25519 for each purpose. Kept as it is, as the secrets of endpoints are: who reads it reads everything else here too.
CREATE TABLE signing_keys (
    purpose TEXT PRIMARY KEY,
    seed BYTEA NOT NULL,
    made_at BIGINT NOT NULL
);
