-- One row per (subscription, entry) of the same feed, entries old to new.
-- In the same order $1: subscription ids, $2: their target ids, $3: their feeds; and again in the
-- same order $4: entry ids, old to new, $5: their feeds
INSERT INTO deliveries (subscription_id, target_id, entry_id)
SELECT s.subscription_id, s.target_id, e.entry_id
FROM unnest($4::bigint[], $5::bigint[]) WITH ORDINALITY AS e (entry_id, feed_id, position)
JOIN unnest($1::bigint[], $2::bigint[], $3::bigint[])
    AS s (subscription_id, target_id, feed_id) USING (feed_id)
ORDER BY e.position, s.target_id
ON CONFLICT (subscription_id, entry_id) DO NOTHING
