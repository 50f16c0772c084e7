-- Look-ups call a live incident a bank whose name begins with INCIDENT_, so no bank of the watch list has such a name: '_' is put before it, as before that
-- of a source's own bank. One that would be too long then, or another's, has its number behind it. How far a list was followed into it goes along; of what has no
-- bank it is forgotten, so that no name is taken.
DELETE FROM watch_follows WHERE (substr(name, 1, 9) = 'INCIDENT_' OR substr(name, 1, 10) = '_INCIDENT_')
    AND NOT EXISTS (SELECT 1 FROM watch_banks bank WHERE bank.name = watch_follows.name);
UPDATE watch_follows SET name = (SELECT CASE
        WHEN length(named.name) < 64 AND NOT EXISTS (SELECT 1 FROM watch_banks other WHERE other.name = '_' || named.name) THEN '_' || named.name
        ELSE '_' || substr(named.name, 1, 41) || '__' || named.bank
    END FROM watch_banks named WHERE named.name = watch_follows.name)
    WHERE substr(name, 1, 9) = 'INCIDENT_';
UPDATE watch_banks SET name = CASE
        WHEN length(name) < 64 AND NOT EXISTS (SELECT 1 FROM watch_banks other WHERE other.name = '_' || watch_banks.name) THEN '_' || name
        ELSE '_' || substr(name, 1, 41) || '__' || bank
    END
    WHERE substr(name, 1, 9) = 'INCIDENT_';
