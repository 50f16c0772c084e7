-- merged_into: the case of the family that this one's joined. Its resting is 3 meanwhile, and merged_resting is what it is again on its own.
-- said_at: when a group said to which family the case's belongs, of what was heard last. dispute_fencing: a decision under a higher number ends the dispute.
ALTER TABLE cases ADD COLUMN merged_into TEXT;
ALTER TABLE cases ADD COLUMN merged_at INTEGER;
ALTER TABLE cases ADD COLUMN merged_resting INTEGER;
ALTER TABLE cases ADD COLUMN said_at INTEGER;
ALTER TABLE cases ADD COLUMN dispute_fencing INTEGER;
CREATE INDEX cases_merged ON cases (merged_into) WHERE merged_into IS NOT NULL;
