-- A target's next messages, oldest first, with all that is needed to write them; asked_for: it came
-- with the subscription itself, to show its posts.
-- Index: deliveries_waiting. $1: target id, $2: how many
SELECT d.id, d.parts_sent, d.created_at = s.created_at AS asked_for, d.subscription_id, d.notice, e.id AS entry_id, f.id AS feed_id,
    f.title AS feed_title, f.url AS feed_url, f.link AS feed_link, e.title, e.link, e.author,
    e.html, e.published_at, e.enclosures, e.categories, e.image, e.comments
FROM deliveries d
JOIN subscriptions s ON s.id = d.subscription_id
LEFT JOIN entries e ON e.id = d.entry_id
JOIN feeds f ON f.id = s.feed_id
WHERE d.target_id = $1 AND d.status = 'waiting'
ORDER BY d.id
LIMIT $2
