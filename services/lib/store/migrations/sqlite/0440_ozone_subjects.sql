-- What was reported in the Ozone of an endpoint, at most 64 of a case: records, told there of the decisions of the case. subject: JSON.
CREATE TABLE ozone_subjects (
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    endpoint TEXT NOT NULL REFERENCES endpoints (endpoint),
    uri TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (case_id, endpoint, uri)
);
CREATE INDEX ozone_subjects_endpoint ON ozone_subjects (endpoint, case_id);
