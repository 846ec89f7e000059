-- Something to say about a feed to each of its subscribers.
-- $1: subscription ids, $2: their target ids, $3: what to say (JSON)
INSERT INTO deliveries (subscription_id, target_id, notice)
SELECT s.subscription_id, s.target_id, $3::jsonb
FROM unnest($1::bigint[], $2::bigint[]) AS s (subscription_id, target_id)
