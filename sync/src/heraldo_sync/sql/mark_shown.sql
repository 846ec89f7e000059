-- Marks the entries that a feed shows; about once a week, so that a check writes no row for each.
-- What was shown at the last marking, or came since, counts as shown until now. Index: entries_key.
-- $1: feed id, $2: ids of entries shown, $3: beginnings of the keys of others
UPDATE entries e SET
    shown_at = CASE
        WHEN e.id = ANY($2::bigint[]) OR substring(e.key FROM 1 FOR 16) = ANY($3::bytea[])
        THEN now() ELSE now() - interval '1 second'
    END
FROM feeds f
WHERE f.id = $1 AND e.feed_id = f.id AND (
    e.shown_at >= f.marked_at OR e.id = ANY($2::bigint[])
    OR substring(e.key FROM 1 FOR 16) = ANY($3::bytea[])
)
