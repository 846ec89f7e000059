-- Of two deliveries of the same post to the same target one goes: the one that is less far. Of two
-- that wait, the later, because the first is likelier to be on its way; should it be the later, what
-- Telegram says of it is recorded with the first (stands_for).
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
), repeat AS (
    SELECT o.id AS old_id, n.id AS new_id,
        o.status = 'waiting' AND n.status = 'waiting' AS both_wait,
        (array_position('{held,waiting,skipped,set_aside,folded,sent}', o.status), o.parts_sent, -o.id)
            > (array_position('{held,waiting,skipped,set_aside,folded,sent}', n.status), n.parts_sent, -n.id) AS old_wins
    FROM deliveries o
    JOIN subscription ON subscription.id = o.subscription_id
    JOIN entry ON entry.id = o.entry_id
    JOIN deliveries n
        ON n.subscription_id = subscription.becomes AND n.entry_id = entry.becomes AND n.id <> o.id
), gone AS (
    DELETE FROM deliveries d
    USING repeat
    WHERE d.id = CASE WHEN repeat.old_wins THEN repeat.new_id ELSE repeat.old_id END
    RETURNING d.id, repeat.both_wait,
        CASE WHEN repeat.old_wins THEN repeat.old_id ELSE repeat.new_id END AS stays
)
UPDATE deliveries d SET stands_for = d.stands_for || heirs.ids
FROM (SELECT stays, array_agg(id) AS ids FROM gone WHERE both_wait GROUP BY stays) AS heirs
WHERE d.id = heirs.stays
