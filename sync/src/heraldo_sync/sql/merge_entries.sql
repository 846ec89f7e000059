-- Moves the posts that only the feed that goes has seen. $1: the feed that goes, $2: that stays
UPDATE entries e SET feed_id = $2
WHERE e.feed_id = $1
    AND NOT EXISTS (SELECT FROM entries n WHERE n.feed_id = $2 AND n.key = e.key AND same_post(n, e))
