-- The migrations' function of this name, where it is explained.
-- $1 ids, $2 leases, $3 channel (null tells nobody).
SELECT ids, leases, queues, keys, notified
FROM {schema}.finish($1::bigint[], $2::integer[], $3::text)
