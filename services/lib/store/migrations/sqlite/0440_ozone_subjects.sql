-- What was reported in the Ozone of an endpoint, at most 64 of a case: records, told there of the decisions of the case. case_id: the case of the family
-- itself, also where that went into another. subject: JSON. told_decision, told_before: the decision that it was told of last, and the one before it.
CREATE TABLE ozone_subjects (
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    endpoint TEXT NOT NULL REFERENCES endpoints (endpoint),
    uri TEXT NOT NULL,
    subject TEXT NOT NULL,
    told_decision TEXT NOT NULL DEFAULT '',
    told_before TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (case_id, endpoint, uri)
);
CREATE INDEX ozone_subjects_endpoint ON ozone_subjects (endpoint, uri);
CREATE INDEX ozone_subjects_told ON ozone_subjects (told_decision);
-- What was created in an Ozone before that time is not taken.
ALTER TABLE ozone_positions ADD COLUMN begun_at INTEGER NOT NULL DEFAULT 0;
