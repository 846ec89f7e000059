-- Whether two feeds have a post in common. Index: entries_key. $1: one feed id, $2: the other's
SELECT EXISTS (
    SELECT FROM entries o
    JOIN entries n ON n.feed_id = $2 AND n.key = o.key
    WHERE o.feed_id = $1
)
