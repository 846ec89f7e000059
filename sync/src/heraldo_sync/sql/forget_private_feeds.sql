-- Private feeds that nobody subscribes to go with all they have, once nothing of them is to be sent.
-- They must be locked before: a subscription that is being made would go with its feed.
-- $1: feed ids
DELETE FROM feeds f
WHERE f.id = ANY($1::bigint[]) AND f.private <> ''
    AND NOT EXISTS (SELECT FROM subscriptions s WHERE s.feed_id = f.id)
    AND NOT EXISTS (
        SELECT FROM entries e
        JOIN deliveries d ON d.entry_id = e.id AND d.status IN ('waiting', 'held')
        WHERE e.feed_id = f.id
    )
