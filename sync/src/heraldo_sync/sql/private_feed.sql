-- The feed of this address with these private headers, by any of the operator's keys.
-- Index: feeds_url_private_key. $1: address, $2: the headers' fingerprints
SELECT id FROM feeds WHERE url = $1 AND private = ANY($2::bytea[]) ORDER BY id LIMIT 1
