-- A hub asked to be left alone for longer than it would have been. $1: feed id, $2: how long
UPDATE websub SET try_at = greatest(try_at, now() + $2) WHERE feed_id = $1
