-- Live streams among the members of a case's family, at most 64 of a case: a content on a platform.
CREATE TABLE case_streams (
    case_id TEXT NOT NULL REFERENCES cases (case_id),
    content TEXT NOT NULL,
    platform_id INTEGER NOT NULL,
    PRIMARY KEY (case_id, content, platform_id)
) STRICT;
