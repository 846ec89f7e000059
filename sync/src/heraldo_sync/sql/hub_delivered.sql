-- A push was about something new: what the look at the feed brought, or another check just before.
-- $1: feed id, $2: how long before the push a check may have found it
UPDATE websub w SET fruitless = 0, trusted = true
FROM feeds f
WHERE w.feed_id = $1 AND f.id = w.feed_id AND f.posted_at > w.pushed_at - $2::interval
RETURNING w.feed_id
