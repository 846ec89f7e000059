-- Held posts go out after all; locked in the order in which a merge locks them.
-- Index: deliveries_held. $1: target id, $2: subscription id
UPDATE deliveries SET status = 'waiting', created_at = now()
WHERE id IN (
    SELECT id FROM deliveries
    WHERE subscription_id = $2 AND target_id = $1 AND status = 'held'
    ORDER BY id FOR UPDATE
)
RETURNING id
