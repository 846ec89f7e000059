-- Whether a chat gets such posts once, and how many were folded so. Index: deliveries_folded.
-- $1: chat id
SELECT c.folds, (
    SELECT count(*)
    FROM targets t
    JOIN subscriptions s ON s.target_id = t.id
    JOIN deliveries d ON d.subscription_id = s.id AND d.status = 'folded'
    WHERE t.chat_id = c.id
) AS folded
FROM chats c
WHERE c.id = $1
