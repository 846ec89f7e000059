-- The other feed by which a target got a link of late, if there is one. Index: known_links_pkey.
-- $1: target id, $2: link, $3: the feed that brings it now, $4: how long ago at most
SELECT feed_id FROM known_links
WHERE target_id = $1 AND link = $2 AND feed_id <> $3 AND sent_at > now() - $4::interval
