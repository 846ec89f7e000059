-- The migrations' function of this name, where it is explained.
-- $1 ids, $2 leases, $3 endings, $4 delays in seconds, $5 attempts given back (0 or 1),
-- $6 errors, $7 errors kept, $8 channel (null tells nobody).
SELECT ids, leases, queues, keys, notified
FROM {schema}.settle(
    $1::bigint[], $2::integer[], $3::text[], $4::double precision[], $5::integer[],
    $6::text[], $7::integer, $8::text
)
