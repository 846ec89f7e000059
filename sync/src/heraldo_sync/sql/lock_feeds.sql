-- Holds several feeds, the older first, as lock_feed.sql holds one. $1: feed ids
SELECT id FROM feeds WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE
