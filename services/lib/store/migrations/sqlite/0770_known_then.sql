-- What was asked and answered at the confirmation that stands, or stood last: what reports tell, which no removal that comes later changes. Null: it never was confirmed.
-- What was confirmed before these columns begins with what was known last.
ALTER TABLE acknowledgements ADD COLUMN confirmed_asked INTEGER;
ALTER TABLE acknowledgements ADD COLUMN confirmed_answered INTEGER;
-- When the store was told of a stream. Null: before this column.
ALTER TABLE case_streams ADD COLUMN told_at INTEGER;
UPDATE acknowledgements SET confirmed_asked = settled_asked, confirmed_answered = settled_answered WHERE confirmed_at IS NOT NULL;
