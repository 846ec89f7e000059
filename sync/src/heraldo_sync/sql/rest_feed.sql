-- A feed that nobody subscribes to is not checked any more. $1: feed id
UPDATE feeds SET next_check_at = 'infinity'
WHERE id = $1 AND NOT EXISTS (SELECT FROM subscriptions WHERE feed_id = $1)
