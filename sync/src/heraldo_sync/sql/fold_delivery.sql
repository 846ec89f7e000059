-- A post that the target has got from another feed is not sent. $1: delivery id
UPDATE deliveries SET status = 'folded', settled_at = now()
WHERE id = $1 AND status = 'waiting' AND parts_sent = 0
RETURNING id
