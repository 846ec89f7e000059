-- How long until the earliest waiting task of the queues is due, negative when it is already;
-- null when nothing waits that may start: where a queue has no free slot, or a key none, a settle
-- has to come first, which tells. With a rate a task is due when its token is. What waits
-- for its parents is due at no known time.
-- Index: tasks_waiting, one hop per queue and priority, from the floors on (see the claim).
-- $1 queues, $2 queues, $3 priorities, $4 due times and $5 ids of the floors.
-- A function for the same reason as the claim.
CREATE FUNCTION {schema}.next_due(text[], text[], integer[], timestamptz[], bigint[])
RETURNS interval
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $colmillo$
BEGIN
    RETURN (
        WITH RECURSIVE floor AS MATERIALIZED (
            SELECT *
            FROM unnest($2::text[], $3::integer[], $4::timestamptz[], $5::bigint[])
                AS given (queue, priority, run_at, id)
        ),
        rule AS MATERIALIZED (
            SELECT
                known.queue,
                known.running - (
                    SELECT count(*)
                    FROM {schema}.slots AS surplus
                    WHERE
                        surplus.queue = known.queue
                        AND surplus.slot > known.running
                        AND surplus.task IS NOT NULL
                ) AS usable,
                (
                    SELECT
                        bucket.refilled_at + make_interval(
                            secs => greatest(0, 1 - bucket.tokens)
                                * known.rate_seconds / known.rate_tasks
                        )
                    FROM {schema}.buckets AS bucket
                    WHERE bucket.queue = known.queue AND known.rate_tasks IS NOT NULL
                ) AS token_at
            FROM {schema}.queues AS known
            WHERE known.queue = ANY ($1::text[]) AND known.limited
        ),
        lane AS (
            SELECT given.queue, 32768 AS priority
            FROM unnest($1::text[]) AS given (queue)
            WHERE NOT EXISTS (
                SELECT FROM rule
                WHERE
                    rule.queue = given.queue
                    AND rule.usable IS NOT NULL
                    AND NOT EXISTS (
                        SELECT FROM {schema}.slots AS vacant
                        WHERE
                            vacant.queue = rule.queue
                            AND vacant.slot <= rule.usable
                            AND vacant.task IS NULL
                    )
            )
            UNION ALL
            SELECT
                lane.queue,
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
        )
        SELECT min(greatest(first.run_at, rule.token_at)) - statement_timestamp()
        FROM lane
        LEFT JOIN rule ON rule.queue = lane.queue
        LEFT JOIN floor ON floor.queue = lane.queue AND floor.priority = lane.priority
        CROSS JOIN LATERAL (
            SELECT task.run_at
            FROM {schema}.tasks AS task
            WHERE
                task.worker IS NULL
                AND NOT task.parked
                AND task.queue = lane.queue
                AND task.priority = lane.priority
                AND task.run_at < 'infinity'
                AND (task.run_at, task.id)
                > (coalesce(floor.run_at, '-infinity'), coalesce(floor.id, 0))
            ORDER BY task.run_at, task.id
            LIMIT 1
        ) AS first
    );
END
$colmillo$
