-- Hosts of which no feed was due for a day. One that is being asked is left for the next time.
DELETE FROM busy_hosts
WHERE host IN (
    SELECT host FROM busy_hosts WHERE free_at < now() - interval '1 day' FOR UPDATE SKIP LOCKED
)
