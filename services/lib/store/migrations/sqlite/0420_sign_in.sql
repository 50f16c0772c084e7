-- Sessions of people: each speaks as the person's key. Rows are deleted when a session ends or is over.
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32),
    key_id TEXT NOT NULL REFERENCES api_keys (key_id),
    opened_at INTEGER NOT NULL,
    -- To the minute.
    seen_at INTEGER NOT NULL,
    idle_ms INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_of_key ON sessions (key_id, opened_at);

-- Who an account of an OpenID provider is here.
CREATE TABLE sign_in_accounts (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    key_id TEXT NOT NULL REFERENCES api_keys (key_id),
    bound_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT;
CREATE INDEX sign_in_accounts_of_key ON sign_in_accounts (key_id);

-- Links that are good once, by the digest of their secret; of each purpose the latest of a person. purpose: 1 signs in, 2 invites.
CREATE TABLE sign_in_links (
    secret_sha256 BLOB PRIMARY KEY CHECK (length(secret_sha256) = 32),
    key_id TEXT NOT NULL REFERENCES api_keys (key_id),
    purpose INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (key_id, purpose)
) STRICT;

-- States of sign-ins that came to their end, so that none does twice; until no state of their age is taken any more.
CREATE TABLE sign_in_states (
    state_sha256 BLOB PRIMARY KEY CHECK (length(state_sha256) = 32),
    expires_at INTEGER NOT NULL
) STRICT;
