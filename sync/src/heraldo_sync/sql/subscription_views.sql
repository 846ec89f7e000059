-- A target's subscriptions, by title. Index: subscriptions_target_id_feed_id_key.
-- $1: target id, $2: only this subscription (null: all), $3: only this address (null: all),
-- $4: offset, $5: limit
SELECT s.id, s.feed_id, f.title, f.url, s.created_at, f.checked_at, f.failing_since,
    f.last_error, f.next_check_at, f.ended_at, f.private <> '' AS private, count(*) OVER () AS total
FROM subscriptions s
JOIN feeds f ON f.id = s.feed_id
WHERE s.target_id = $1
    AND ($2::bigint IS NULL OR s.id = $2)
    AND ($3::text IS NULL OR f.url = $3)
ORDER BY lower(f.title), s.id
OFFSET $4 LIMIT $5
