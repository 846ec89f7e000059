-- The question what to do with held posts, to those who were not asked lately.
-- $1: subscription ids, $2: their target ids, $3: the notice (JSON), $4: how long a question stands
INSERT INTO deliveries (subscription_id, target_id, notice)
SELECT s.subscription_id, s.target_id, $3::jsonb
FROM unnest($1::bigint[], $2::bigint[]) AS s (subscription_id, target_id)
WHERE NOT EXISTS (
    SELECT FROM deliveries d
    WHERE d.subscription_id = s.subscription_id AND d.entry_id IS NULL
        AND d.notice ->> 'kind' = $3::jsonb ->> 'kind' AND d.created_at > now() - $4::interval
)
RETURNING target_id
