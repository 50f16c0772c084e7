-- When what first happened to a case's family on a platform. clock: 1 first seen, 2 first report, 3 notice, 4 shared, 5 removed, 6 confirmed, 7 leaked.
CREATE TABLE case_clocks (
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    platform_id BIGINT NOT NULL,
    clock BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (case_id, platform_id, clock)
);

-- regions, languages: where the family spread within the last day; codes, each between commas.
ALTER TABLE cases ADD COLUMN regions TEXT NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN languages TEXT NOT NULL DEFAULT '';
