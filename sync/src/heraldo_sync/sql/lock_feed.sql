-- Serialises everything that adds entries to a feed, so that ids grow in order. $1: feed id,
-- $2: after how long its entries are to be marked again
SELECT
    succeeded_at, told_at, now() - posted_at AS quiet, marked_at < now() - $2::interval AS stale,
    now() AS now
FROM feeds WHERE id = $1 FOR NO KEY UPDATE
