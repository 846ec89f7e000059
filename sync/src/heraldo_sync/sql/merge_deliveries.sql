-- What is left belongs to the feed that stays: its subscriptions and entries where it has them.
-- $1: the feed that goes, $2: the feed that stays
WITH entry AS (
    SELECT o.id, coalesce(n.id, o.id) AS becomes
    FROM entries o
    LEFT JOIN entries n ON n.feed_id = $2 AND n.key = o.key AND same_post(n, o)
    WHERE o.feed_id = $1
), subscription AS (
    SELECT o.id, coalesce(n.id, o.id) AS becomes
    FROM subscriptions o
    LEFT JOIN subscriptions n ON n.feed_id = $2 AND n.target_id = o.target_id
    WHERE o.feed_id = $1
)
UPDATE deliveries d SET
    subscription_id = subscription.becomes,
    entry_id = coalesce((SELECT becomes FROM entry WHERE entry.id = d.entry_id), d.entry_id)
FROM subscription
WHERE d.subscription_id = subscription.id
