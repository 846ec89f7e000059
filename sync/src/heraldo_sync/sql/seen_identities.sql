-- Which of these identities the feed has shown before. Index: entries_feed_id_identity_key.
-- $1: feed id, $2: identities
SELECT identity FROM entries WHERE feed_id = $1 AND identity = ANY($2::bytea[])
