-- The open targets of a chat that have something to send. $1: chat id
SELECT t.id
FROM targets t
WHERE t.chat_id = $1
    AND t.closed_at IS NULL
    AND EXISTS (SELECT FROM deliveries d WHERE d.target_id = t.id AND d.status = 'waiting')
ORDER BY t.id
