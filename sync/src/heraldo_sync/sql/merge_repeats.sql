-- Of two deliveries of the same post to the same target one goes: the one that is less far. Of two
-- that wait, the later, because the first may be on its way. $1: the feed that goes, $2: that stays
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
), repeat AS (
    SELECT o.id AS old_id, n.id AS new_id,
        (array_position('{held,waiting,skipped,set_aside,folded,sent}', o.status), o.parts_sent, -o.id)
            > (array_position('{held,waiting,skipped,set_aside,folded,sent}', n.status), n.parts_sent, -n.id) AS old_wins
    FROM deliveries o
    JOIN subscription ON subscription.id = o.subscription_id
    JOIN entry ON entry.id = o.entry_id
    JOIN deliveries n
        ON n.subscription_id = subscription.becomes AND n.entry_id = entry.becomes AND n.id <> o.id
)
DELETE FROM deliveries d
USING repeat
WHERE d.id = CASE WHEN repeat.old_wins THEN repeat.new_id ELSE repeat.old_id END
