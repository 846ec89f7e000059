-- The public feed of this address, made if it is new. $1: address, $2: title
INSERT INTO feeds (url, title)
VALUES ($1, $2)
ON CONFLICT (url, private) DO UPDATE SET url = excluded.url
RETURNING id
