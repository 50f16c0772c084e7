-- labelled: whether the platform's own events labelled a copy tvec (1) or none (0) when its removal was confirmed last; null where that is not known, as of what was
-- confirmed before this column.
ALTER TABLE acknowledgements ADD COLUMN labelled INTEGER;
