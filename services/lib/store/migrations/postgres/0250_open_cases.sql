-- All open cases in the order of their ids, a page at a time.
CREATE INDEX cases_open ON cases (case_id) WHERE resting = 1;
