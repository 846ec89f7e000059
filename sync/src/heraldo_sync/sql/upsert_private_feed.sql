-- The feed of this address with these private headers, made if it is new.
-- $1: address, $2: title, $3: the headers' fingerprint, $4: the headers, sealed
INSERT INTO feeds (url, title, private, sealed)
VALUES ($1, $2, $3, $4)
ON CONFLICT (url, private) DO UPDATE SET url = excluded.url
RETURNING id
