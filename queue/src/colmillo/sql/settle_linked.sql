-- The migrations' function of this name, where it is explained.
-- $1 ids, $2 leases, $3 endings (null: done), $4 errors, $5 results (null: none), $6 for how many
-- seconds each result is kept (null: for the children only), $7 errors kept, $8 channel of
-- results, $9 channel (null tells nobody).
SELECT ids, leases, queues, keys, told, notified
FROM {schema}.settle_linked(
    $1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::double precision[],
    $7::integer, $8::text, $9::text
)
