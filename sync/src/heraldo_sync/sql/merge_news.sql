-- What one feed has shown since the other was read last, and the other has not: news to the
-- other's subscribers. $1: the other feed, $2: the feed, $3: how long a check may take
SELECT e.id
FROM entries e
WHERE e.feed_id = $2
    AND e.first_seen_at > (SELECT f.succeeded_at - $3::interval FROM feeds f WHERE f.id = $1)
    AND NOT EXISTS (SELECT FROM entries o WHERE o.feed_id = $1 AND o.key = e.key AND same_post(o, e))
ORDER BY e.id
