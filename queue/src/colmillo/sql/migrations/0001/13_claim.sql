-- Takes due tasks for a worker whose lease lives. Index: tasks_waiting.
-- The recursion hops from priority to priority of each queue, so that tasks which are not due
-- yet are never walked over; within one (queue, priority) the index gives them by due time.
-- A floor is where an earlier claim of this (queue, priority) ended: running and dead rows below
-- it are not walked over again. Rows are found again by their place: they are locked.
-- A unique hash that only waiting tasks hold (it is longer than others) is released for good.
-- The columns are the fields of ClaimedTask, in their order.
-- The lock on the lease makes a rescue wait for claims under way, and is taken only when there
-- is something to claim: an idle worker writes nothing.
-- Queues with limits are left alone, as this statement's own snapshot has it; they come first in
-- the answer, as rows that have a queue and nothing else.
-- $1 worker, $2 queues, $3 room per queue, $4 queues, $5 priorities, $6 due times and $7 ids of
-- the floors.
-- A function, so that its plan is made once per connection and without a look at how many rows
-- the tables have now: planning it took longer than running it, and a plan from a table that was
-- empty then must not read all of it later. All is indexed, so scans are ruled out.
CREATE FUNCTION {schema}.claim(uuid, text[], integer[], text[], integer[], timestamptz[], bigint[])
RETURNS TABLE (
    id bigint, lease integer, name text, queue text, payload text, attempt integer,
    max_attempts integer, enqueued_at timestamptz, run_at timestamptz, priority smallint,
    crashes smallint, limited boolean, linked boolean
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $colmillo$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH RECURSIVE floor AS MATERIALIZED (
        SELECT *
        FROM unnest($4::text[], $5::integer[], $6::timestamptz[], $7::bigint[])
            AS given (queue, priority, run_at, id)
    ),
    limited AS MATERIALIZED (
        SELECT rule.queue
        FROM {schema}.queues AS rule
        WHERE rule.queue = ANY ($2::text[]) AND rule.limited
    ),
    lane AS (
        SELECT given.queue, given.room, 32768 AS priority
        FROM unnest($2::text[], $3::integer[]) AS given (queue, room)
        WHERE EXISTS (
            SELECT FROM {schema}.workers AS worker
            WHERE worker.id = $1::uuid AND worker.expires_at > statement_timestamp()
        )
        AND given.queue <> ALL (ARRAY(SELECT limited.queue FROM limited))
        UNION ALL
        SELECT
            lane.queue,
            lane.room,
            greatest(
                known.priority,
                (
                    SELECT task.priority
                    FROM {schema}.tasks AS task
                    WHERE
                        NOT task.parked
                        AND task.queue = lane.queue
                        AND task.priority < lane.priority
                        AND task.priority > coalesce(known.priority, -32769)
                    ORDER BY task.priority DESC
                    LIMIT 1
                )
            )
        FROM lane
        CROSS JOIN LATERAL (
            SELECT max(floor.priority) AS priority
            FROM floor
            WHERE floor.queue = lane.queue AND floor.priority < lane.priority
        ) AS known
        WHERE lane.priority IS NOT NULL
    ),
    picked AS MATERIALIZED (
        SELECT chosen.place
        FROM unnest($2::text[], $3::integer[]) AS wanted (queue, room)
        CROSS JOIN LATERAL (
            SELECT due.place
            FROM (
                SELECT
                    lane.priority,
                    coalesce(floor.run_at, '-infinity') AS run_at,
                    coalesce(floor.id, 0) AS id
                FROM lane
                LEFT JOIN floor ON floor.queue = lane.queue AND floor.priority = lane.priority
                WHERE lane.queue = wanted.queue AND lane.priority < 32768
                ORDER BY lane.priority DESC
            ) AS step
            CROSS JOIN LATERAL (
                SELECT task.ctid AS place
                FROM {schema}.tasks AS task
                WHERE
                    task.worker IS NULL
                    AND NOT task.parked
                    AND task.queue = wanted.queue
                    AND task.priority = step.priority
                    AND task.run_at <= statement_timestamp()
                    AND (task.run_at, task.id) > (step.run_at, step.id)
                ORDER BY task.run_at, task.id
                LIMIT wanted.room
                FOR UPDATE SKIP LOCKED
            ) AS due
            LIMIT wanted.room
        ) AS chosen
    ),
    alive AS MATERIALIZED (
        SELECT worker.id
        FROM {schema}.workers AS worker
        WHERE
            worker.id = $1::uuid
            AND worker.expires_at > statement_timestamp()
            AND EXISTS (SELECT FROM picked)
        FOR KEY SHARE
    ),
    claimed AS (
        UPDATE {schema}.tasks AS task
        SET
            worker = $1::uuid,
            lease = task.lease + 1,
            attempt = task.attempt + 1,
            unique_hash = CASE WHEN octet_length(task.unique_hash) = 32 THEN task.unique_hash END
        WHERE
            task.ctid = ANY (ARRAY(SELECT picked.place FROM picked))
            AND task.worker IS NULL
            AND EXISTS (SELECT FROM alive)
        RETURNING
            task.id, task.lease, task.name, task.queue, task.payload, task.attempt,
            task.max_attempts, task.enqueued_at, task.run_at, task.priority, task.crashes,
            task.linked
    )
    SELECT
        id, lease, name, queue, payload, attempt, max_attempts, enqueued_at, run_at, priority,
        crashes, false AS limited, linked
    FROM claimed
    UNION ALL
    SELECT NULL, NULL, NULL, limited.queue, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, NULL
    FROM limited
    ORDER BY priority DESC, run_at, id;
END
$colmillo$
