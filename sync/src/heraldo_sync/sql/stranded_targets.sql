-- Open targets with rows that have waited for a while; their delivery task is enqueued again,
-- which does nothing where one is alive. A belt over the braces of the locking protocol.
-- Index: deliveries_waiting. $1: how old a row must be
SELECT DISTINCT d.target_id
FROM deliveries d
JOIN targets t ON t.id = d.target_id AND t.closed_at IS NULL
JOIN chats c ON c.id = t.chat_id AND c.suspended_at IS NULL
WHERE d.status = 'waiting' AND d.created_at < now() - $1::interval
ORDER BY d.target_id
