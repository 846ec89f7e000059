-- Serialises everything that adds entries to a feed, so that ids grow in order. $1: feed id
SELECT succeeded_at, told_at, now() - posted_at AS quiet FROM feeds WHERE id = $1 FOR NO KEY UPDATE
