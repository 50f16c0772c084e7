-- Look-ups call a live incident a bank whose name begins with INCIDENT_, so no bank of the watch list has such a name: '_' is put before it, as before that
-- of a source's own bank. One that would be too long then, or another's, has its number behind it.
UPDATE watch_banks SET name = CASE
        WHEN length(name) < 64 AND NOT EXISTS (SELECT 1 FROM watch_banks other WHERE other.name = '_' || watch_banks.name) THEN '_' || name
        ELSE '_' || substr(name, 1, 41) || '__' || bank
    END
    WHERE substr(name, 1, 9) = 'INCIDENT_';
UPDATE watch_follows SET name = '_' || name
    WHERE substr(name, 1, 9) = 'INCIDENT_' AND NOT EXISTS (SELECT 1 FROM watch_follows other WHERE other.name = '_' || watch_follows.name);
