-- A feed that nobody subscribes to is not checked any more, and its hub is told. $1: feed id
WITH rested AS (
    UPDATE feeds SET next_check_at = 'infinity'
    WHERE id = $1 AND NOT EXISTS (SELECT FROM subscriptions WHERE feed_id = $1)
    RETURNING id
)
UPDATE websub SET tries = 0, try_at = now() FROM rested WHERE feed_id = rested.id
