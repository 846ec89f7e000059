-- Held posts are not wanted. Index: deliveries_held. $1: target id, $2: subscription id
UPDATE deliveries SET status = 'skipped', settled_at = now()
WHERE subscription_id = $2 AND target_id = $1 AND status = 'held'
RETURNING id
