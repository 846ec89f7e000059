-- What is held, for whom and since when. Index: deliveries_held.
-- $1: only for this target (null: all), $2: only of this feed's address (null: all), $3: only for
-- this chat (null: all)
SELECT d.target_id, d.subscription_id, t.chat_id, t.topic_id, c.title AS chat, f.title, f.url,
    count(*) AS posts, min(d.created_at) AS since
FROM deliveries d
JOIN subscriptions s ON s.id = d.subscription_id
JOIN feeds f ON f.id = s.feed_id
JOIN targets t ON t.id = d.target_id
JOIN chats c ON c.id = t.chat_id
WHERE d.status = 'held'
    AND ($1::bigint IS NULL OR d.target_id = $1)
    AND ($2::text IS NULL OR f.url = $2)
    AND ($3::bigint IS NULL OR t.chat_id = $3)
GROUP BY d.target_id, d.subscription_id, t.chat_id, t.topic_id, c.title, f.title, f.url
ORDER BY lower(f.title), d.subscription_id
