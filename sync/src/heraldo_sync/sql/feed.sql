-- What a check needs to know of a feed. $1: feed id
SELECT id, url, title, etag, last_modified, body_hash, failures, succeeded_at
FROM feeds
WHERE id = $1
