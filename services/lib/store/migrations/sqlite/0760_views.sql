-- The views that view samples told of until the removal that confirms a member on a platform, between two numbers; while it is not confirmed those that were
-- last heard of. Null: no sample told of any, or it was confirmed before these columns.
ALTER TABLE acknowledgements ADD COLUMN views_low INTEGER;
ALTER TABLE acknowledgements ADD COLUMN views_high INTEGER;
