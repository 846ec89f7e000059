-- The newest entry of a feed. Index: entries_newest. $1: feed id
SELECT id, title FROM entries WHERE feed_id = $1 ORDER BY id DESC LIMIT 1
