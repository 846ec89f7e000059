-- The targets of feeds' subscribers, locked against a delivery task that is just ending:
-- see docs/decisions/0003-no-stranded-delivery.md; total counts them before the locks are waited
-- for. Index: subscriptions_feed. $1: feed ids
SELECT s.id AS subscription_id, s.feed_id, t.id AS target_id,
    (t.closed_at IS NULL AND c.suspended_at IS NULL) AS open,
    (SELECT count(*) FROM subscriptions WHERE feed_id = ANY($1::bigint[])) AS total
FROM subscriptions s
JOIN targets t ON t.id = s.target_id
JOIN chats c ON c.id = t.chat_id
WHERE s.feed_id = ANY($1::bigint[])
ORDER BY t.id, s.id
FOR SHARE OF t, c
