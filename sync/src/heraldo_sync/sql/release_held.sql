-- Held posts go out after all. Index: deliveries_held. $1: target id, $2: subscription id
UPDATE deliveries SET status = 'waiting', created_at = now()
WHERE subscription_id = $2 AND target_id = $1 AND status = 'held'
RETURNING id
