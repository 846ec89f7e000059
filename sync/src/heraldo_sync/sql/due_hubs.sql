-- The feeds whose hubs are to be asked for something, locked so that two ticks share them out.
-- Index: websub_due. $1: how many at most
SELECT feed_id FROM websub WHERE try_at <= now() ORDER BY try_at LIMIT $1 FOR UPDATE SKIP LOCKED
