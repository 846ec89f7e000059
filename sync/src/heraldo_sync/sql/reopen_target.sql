-- Somebody spoke to us in this topic, so it is open. $1: target id
UPDATE targets SET closed_at = NULL, closed_reason = NULL
WHERE id = $1 AND closed_at IS NOT NULL
RETURNING id
