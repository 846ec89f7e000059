-- Whether a target has something to send. Index: deliveries_waiting. $1: target id
SELECT EXISTS (SELECT FROM deliveries WHERE target_id = $1 AND status = 'waiting')
