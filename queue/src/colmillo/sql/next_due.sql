-- How long until the earliest waiting task of the queues is due: the migrations' function of this
-- name. $1 queues, $2 queues, $3 priorities, $4 due times and $5 ids of the floors.
SELECT {schema}.next_due(
    $1::text[], $2::text[], $3::integer[], $4::timestamptz[], $5::bigint[]
)
