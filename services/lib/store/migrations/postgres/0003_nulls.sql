-- What was found to be ordinary on each platform: records of 226 bytes, little-endian, ascending by platform. Empty: what a version ships with.
ALTER TABLE calibrations ADD COLUMN nulls BYTEA NOT NULL DEFAULT '';
