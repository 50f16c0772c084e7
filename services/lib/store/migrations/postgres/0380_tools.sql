-- Where a platform's people look at a content in the platform's own tool: an address with places.
ALTER TABLE platforms ADD COLUMN tool TEXT;
