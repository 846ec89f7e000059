-- The delivery that stands for one that was merged with it. Index: deliveries_waiting.
-- $1: target id, $2: id of the delivery that is gone
SELECT id FROM deliveries
WHERE target_id = $1 AND status = 'waiting' AND $2::bigint = ANY(stands_for)
