-- A topic that is closed or gone: nothing is sent to it, the chat's others go on.
-- $1: target id, $2: reason
UPDATE targets SET closed_at = now(), closed_reason = $2 WHERE id = $1 AND closed_at IS NULL
