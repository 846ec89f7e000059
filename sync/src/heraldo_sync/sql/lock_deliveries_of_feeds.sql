-- What has not been settled of two feeds, so that nothing is while they become one.
-- Index: subscriptions_feed. $1: feed ids
SELECT d.id
FROM subscriptions s
JOIN deliveries d ON d.subscription_id = s.id AND d.status IN ('waiting', 'held')
WHERE s.feed_id = ANY($1::bigint[])
ORDER BY d.id
FOR UPDATE OF d
