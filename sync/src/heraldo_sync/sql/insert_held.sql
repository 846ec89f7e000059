-- One row per (subscription, entry) that waits for an answer, entries old to new.
-- $1: subscription ids, $2: their target ids, $3: entry ids in order
INSERT INTO deliveries (subscription_id, target_id, entry_id, status)
SELECT s.subscription_id, s.target_id, e.entry_id, 'held'
FROM unnest($3::bigint[]) WITH ORDINALITY AS e (entry_id, position)
CROSS JOIN unnest($1::bigint[], $2::bigint[]) AS s (subscription_id, target_id)
ORDER BY e.position, s.target_id
ON CONFLICT (subscription_id, entry_id) DO NOTHING
