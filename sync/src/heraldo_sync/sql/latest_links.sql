-- The links of feeds' latest entries. Index: entries_newest.
-- $1: feed ids, $2: how many entries of each
SELECT e.feed_id, e.link
FROM unnest($1::bigint[]) AS f (id)
CROSS JOIN LATERAL (
    SELECT n.feed_id, n.link FROM entries n WHERE n.feed_id = f.id ORDER BY n.id DESC LIMIT $2
) e
WHERE e.link IS NOT NULL
