-- Held posts that nobody asked for in time. Index: deliveries_held. $1: how long a question stands
UPDATE deliveries SET status = 'skipped', settled_at = now()
WHERE status = 'held' AND created_at < now() - $1::interval
RETURNING id
