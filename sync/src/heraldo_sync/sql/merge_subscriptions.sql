-- Moves the subscriptions of targets that do not follow the feed that stays.
-- $1: the feed that goes, $2: the feed that stays
UPDATE subscriptions s SET feed_id = $2
WHERE s.feed_id = $1
    AND NOT EXISTS (
        SELECT FROM subscriptions n WHERE n.feed_id = $2 AND n.target_id = s.target_id
    )
