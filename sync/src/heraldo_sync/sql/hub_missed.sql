-- A check found something new that no push had told of: the feed is polled as if there were no hub,
-- until one does. $1: feed id, $2: how long after the push a check may find what it told of
UPDATE websub SET trusted = false
WHERE feed_id = $1 AND trusted AND (pushed_at IS NULL OR pushed_at < now() - $2::interval)
