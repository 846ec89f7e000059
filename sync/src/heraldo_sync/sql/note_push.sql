-- A genuine push came in. since: when the last look because of one was begun. $1: callback key
UPDATE websub SET pushed_at = now()
WHERE key = $1
RETURNING feed_id, fruitless, now() - looked_at AS since
