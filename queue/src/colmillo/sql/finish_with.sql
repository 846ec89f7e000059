-- The migrations' function of this name, where it is explained.
-- $1 ids, $2 leases, $3 results, $4 for how many seconds each is kept, $5 channel of results,
-- $6 channel (null tells nobody).
SELECT ids, leases, told, queues, keys, notified
FROM {schema}.finish_with(
    $1::bigint[], $2::integer[], $3::text[], $4::double precision[], $5::text, $6::text
)
