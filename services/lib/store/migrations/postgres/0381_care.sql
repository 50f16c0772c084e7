-- What somebody did lately, and what they were handed: asked for with each claim.
CREATE INDEX case_history_of_key_lately ON case_history (key_id, at);
CREATE INDEX case_history_handed_to ON case_history (about, at) WHERE kind = 'handed_over';
