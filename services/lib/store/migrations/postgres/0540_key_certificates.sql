-- Client certificates of machines, each by its public key: whoever proves in a TLS handshake that they hold it speaks as the API key. Rows are deleted when
-- a certificate is taken from its key or the key is revoked. subject, not_after: of the certificate that was shown last to bind it; they decide nothing.
CREATE TABLE key_certificates (
    public_key_sha256 BYTEA PRIMARY KEY CHECK (length(public_key_sha256) = 32),
    key_id TEXT NOT NULL REFERENCES api_keys (key_id),
    subject TEXT NOT NULL,
    not_after BIGINT NOT NULL,
    bound_at BIGINT NOT NULL
);
CREATE INDEX key_certificates_of_key ON key_certificates (key_id, bound_at);
