-- The hashes of the packs of incidents: never changed. document: JSON of this format.
CREATE TABLE incident_packs (
    incident_id TEXT NOT NULL REFERENCES incidents (incident_id),
    number INTEGER NOT NULL,
    format INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (incident_id, number)
) STRICT;

-- What is signed with: a seed of Ed25519 for each purpose. Kept as it is, as the secrets of endpoints are: who reads it reads everything else here too.
CREATE TABLE signing_keys (
    purpose TEXT PRIMARY KEY,
    seed BLOB NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;
