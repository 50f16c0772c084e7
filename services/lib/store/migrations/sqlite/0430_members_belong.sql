-- To which family a group said last that a member belongs: kept for when it is hot no more, and nobody says it. NULL: that of the decision's case.
ALTER TABLE member_decisions ADD COLUMN belongs_to TEXT;
CREATE INDEX member_decisions_of_content ON member_decisions (content);
