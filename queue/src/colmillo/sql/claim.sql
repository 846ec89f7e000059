-- Takes due tasks for a worker whose lease lives: the migrations' function of this name.
-- The columns are the fields of ClaimedTask, in their order.
-- $1 worker, $2 queues, $3 room per queue, $4 queues, $5 priorities, $6 due times and $7 ids of
-- the floors.
SELECT
    id, lease, name, queue, payload, attempt, max_attempts, enqueued_at, run_at, priority, crashes,
    limited, linked
FROM {schema}.claim(
    $1::uuid, $2::text[], $3::integer[], $4::text[], $5::integer[], $6::timestamptz[], $7::bigint[]
)
