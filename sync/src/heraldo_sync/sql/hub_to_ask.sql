-- A feed's hub, and whether we want it to push: never for a private feed, whose address is nobody's
-- business. standing: it may have a subscription of ours.
-- $1: feed id
SELECT
    w.hub, w.topic, w.key, w.secret, w.tries,
    w.announced AND f.ended_at IS NULL AND f.private = ''
        AND EXISTS (SELECT FROM subscriptions s WHERE s.feed_id = w.feed_id) AS wanted,
    w.asked IS NOT NULL OR coalesce(w.expires_at > now(), false) AS standing
FROM websub w
JOIN feeds f ON f.id = w.feed_id
WHERE w.feed_id = $1
