-- For whom posts of a feed are held. Index: deliveries_held. $1: the feed's address
SELECT DISTINCT d.target_id, d.subscription_id
FROM deliveries d
JOIN subscriptions s ON s.id = d.subscription_id
JOIN feeds f ON f.id = s.feed_id
WHERE d.status = 'held' AND f.url = $1
ORDER BY 1, 2
