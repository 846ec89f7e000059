-- Takes due tasks of one queue with limits; the plain claim, which see, serves all others.
-- Index: tasks_waiting, slots_pkey, key_slots_pkey.
-- First in the answer is a row without an id: how many might have started (attempt), how many due
-- tasks were looked at (max_attempts) and parked (lease), and a name if keys have limits. No row at
-- all: the queue has none.
-- What makes the limits hold when claims overlap, whatever their snapshots say: a task starts only
-- with a row of `slots` that this statement locked while it was free, and with a row of `key_slots`
-- that it really inserted; tokens are counted under the bucket's lock. All this is done only when
-- something is due, so that an idle worker writes nothing.
-- Nothing here waits for a settle that is not committed: its slots are not free as we see it. Two
-- claims that overlap may want one slot of a key; the second waits for the first, in the order of
-- the keys, before it locks what a settle could wait for.
-- A task whose key is full is parked. While we hold the locks of all the key's slots nobody can
-- have freed one, and who frees one later looks for parked tasks after that.
-- $1 worker, $2 queue, $3 room, $4 how many tasks to look at when keys have limits, $5 whether to
-- park without those locks (the sweep then finds what a settle missed), $6 queues, $7 priorities,
-- $8 due times and $9 ids of the floors.
WITH RECURSIVE rule AS MATERIALIZED (
    SELECT
        running,
        running_per_key,
        burst,
        rate_tasks / rate_seconds AS rate,
        running - (
            SELECT count(*)
            FROM {schema}.slots AS surplus
            WHERE
                surplus.queue = $2::text
                AND surplus.slot > known.running
                AND surplus.task IS NOT NULL
        ) AS usable
    FROM {schema}.queues AS known
    WHERE known.queue = $2::text AND known.limited
),
chance AS MATERIALIZED (
    SELECT least(
        $3::integer,
        CASE
            WHEN rule.running IS NOT NULL THEN (
                SELECT count(*)
                FROM (
                    SELECT
                    FROM {schema}.slots AS vacant
                    WHERE
                        vacant.queue = $2::text
                        AND vacant.slot <= rule.usable
                        AND vacant.task IS NULL
                    LIMIT $3::integer
                ) AS counted
            )
        END,
        CASE
            WHEN rule.rate IS NOT NULL THEN coalesce(
                (
                    SELECT floor(least(
                        rule.burst,
                        tokens + rule.rate * greatest(
                            0, extract(EPOCH FROM statement_timestamp() - refilled_at)
                        )::double precision
                    ) + 0.000001)
                    FROM {schema}.buckets
                    WHERE queue = $2::text
                ),
                0
            )
        END
    )::integer AS room
    FROM rule
    WHERE EXISTS (
        SELECT FROM {schema}.workers AS worker
        WHERE worker.id = $1::uuid AND worker.expires_at > statement_timestamp()
    )
),
width AS MATERIALIZED (
    SELECT
        CASE
            WHEN rule.running_per_key IS NULL THEN chance.room
            ELSE greatest(chance.room, $4::integer)
        END AS tasks
    FROM rule
    CROSS JOIN chance
),
floor AS MATERIALIZED (
    SELECT *
    FROM unnest($6::text[], $7::integer[], $8::timestamptz[], $9::bigint[])
        AS given (queue, priority, run_at, id)
    WHERE given.queue = $2::text
),
lane AS (
    SELECT 32768 AS priority
    FROM chance
    WHERE chance.room > 0
    UNION ALL
    SELECT
        greatest(
            known.priority,
            (
                SELECT task.priority
                FROM {schema}.tasks AS task
                WHERE
                    NOT task.parked
                    AND task.queue = $2::text
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
        WHERE floor.priority < lane.priority
    ) AS known
    WHERE lane.priority IS NOT NULL
),
candidate AS MATERIALIZED (
    SELECT due.id, due.lease, due.priority, due.run_at, due.key
    FROM (
        SELECT
            lane.priority,
            coalesce(floor.run_at, '-infinity') AS run_at,
            coalesce(floor.id, 0) AS id
        FROM lane
        LEFT JOIN floor ON floor.priority = lane.priority
        WHERE lane.priority < 32768
        ORDER BY lane.priority DESC
    ) AS step
    CROSS JOIN LATERAL (
        SELECT task.id, task.lease, task.priority, task.run_at, task.concurrency_key AS key
        FROM {schema}.tasks AS task
        WHERE
            task.worker IS NULL
            AND NOT task.parked
            AND task.queue = $2::text
            AND task.priority = step.priority
            AND task.run_at <= statement_timestamp()
            AND (task.run_at, task.id) > (step.run_at, step.id)
        ORDER BY task.run_at, task.id
        LIMIT coalesce((SELECT width.tasks FROM width), 0)
        FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT coalesce((SELECT width.tasks FROM width), 0)
),
alive AS MATERIALIZED (
    SELECT worker.id
    FROM {schema}.workers AS worker
    WHERE
        worker.id = $1::uuid
        AND worker.expires_at > statement_timestamp()
        AND EXISTS (SELECT FROM candidate)
    FOR KEY SHARE
),
vacancy AS MATERIALIZED (
    SELECT locked.slot, row_number() OVER (ORDER BY locked.slot) AS turn
    FROM (
        SELECT vacant.slot
        FROM {schema}.slots AS vacant
        WHERE
            vacant.queue = $2::text
            AND vacant.slot <= (SELECT rule.usable FROM rule)
            AND vacant.task IS NULL
            AND EXISTS (SELECT FROM alive)
        ORDER BY vacant.slot
        LIMIT (
            SELECT least(max(chance.room), count(candidate.id)) FROM candidate CROSS JOIN chance
        )
        FOR UPDATE SKIP LOCKED
    ) AS locked
),
bucket AS MATERIALIZED (
    SELECT
        least(
            (SELECT rule.burst FROM rule),
            own.tokens + (SELECT rule.rate FROM rule) * greatest(
                0, extract(EPOCH FROM statement_timestamp() - own.refilled_at)
            )::double precision
        ) AS tokens
    FROM {schema}.buckets AS own
    WHERE
        own.queue = $2::text
        AND (SELECT rule.rate FROM rule) IS NOT NULL
        AND EXISTS (SELECT FROM alive)
    FOR UPDATE SKIP LOCKED
),
budget AS MATERIALIZED (
    SELECT least(
        chance.room,
        CASE WHEN rule.running IS NOT NULL THEN (SELECT count(*) FROM vacancy) END,
        CASE
            WHEN rule.rate IS NOT NULL
                THEN coalesce((SELECT floor(bucket.tokens + 0.000001) FROM bucket), 0)
        END
    )::integer AS room
    FROM rule
    CROSS JOIN chance
    WHERE EXISTS (SELECT FROM alive)
),
ranked AS MATERIALIZED (
    SELECT
        candidate.*,
        row_number() OVER (
            PARTITION BY candidate.key
            ORDER BY candidate.priority DESC, candidate.run_at, candidate.id
        ) AS turn
    FROM candidate
),
placed AS MATERIALIZED (
    SELECT
        ranked.*,
        CASE
            WHEN ranked.key IS NOT NULL AND ranked.turn <= rule.running_per_key THEN (
                SELECT number
                FROM generate_series(
                    1,
                    (
                        SELECT
                            least(
                                rule.running_per_key - count(*) FILTER (
                                    WHERE own.slot > rule.running_per_key
                                ),
                                count(*) + ranked.turn
                            )::integer
                        FROM {schema}.key_slots AS own
                        WHERE own.queue = $2::text AND own.key = ranked.key
                    )
                ) AS number
                WHERE NOT EXISTS (
                    SELECT FROM {schema}.key_slots AS own
                    WHERE own.queue = $2::text AND own.key = ranked.key AND own.slot = number
                )
                ORDER BY number
                OFFSET ranked.turn - 1
                LIMIT 1
            )
        END AS key_slot,
        ranked.key IS NOT NULL AND rule.running_per_key IS NOT NULL AS keyed
    FROM ranked
    CROSS JOIN rule
),
fitting AS MATERIALIZED (
    SELECT *
    FROM placed
    WHERE placed.key_slot IS NOT NULL OR NOT placed.keyed
    ORDER BY placed.priority DESC, placed.run_at, placed.id
    LIMIT coalesce((SELECT budget.room FROM budget), 0)
),
entered AS (
    INSERT INTO {schema}.key_slots (queue, key, slot, task, lease)
    SELECT $2::text, fitting.key, fitting.key_slot, fitting.id, fitting.lease + 1
    FROM fitting
    WHERE fitting.key_slot IS NOT NULL
    ORDER BY fitting.key, fitting.key_slot
    ON CONFLICT (queue, key, slot) DO NOTHING
    RETURNING key, task
),
start AS MATERIALIZED (
    SELECT
        array_agg(fitting.id ORDER BY fitting.priority DESC, fitting.run_at, fitting.id) AS ids,
        array_agg(
            fitting.key_slot ORDER BY fitting.priority DESC, fitting.run_at, fitting.id
        ) AS key_slots,
        (SELECT array_agg(vacancy.slot ORDER BY vacancy.slot) FROM vacancy) AS slots
    FROM fitting
    WHERE fitting.key_slot IS NULL OR fitting.id IN (SELECT entered.task FROM entered)
),
claimed AS (
    UPDATE {schema}.tasks AS task
    SET
        worker = $1::uuid,
        lease = task.lease + 1,
        attempt = task.attempt + 1,
        slot = (SELECT start.slots[array_position(start.ids, task.id)] FROM start),
        key_slot = (SELECT start.key_slots[array_position(start.ids, task.id)] FROM start),
        unique_hash = CASE WHEN octet_length(task.unique_hash) = 32 THEN task.unique_hash END
    WHERE task.id = ANY ((SELECT start.ids FROM start)::bigint[]) AND task.worker IS NULL
    RETURNING
        task.id, task.lease, task.name, task.queue, task.payload, task.attempt,
        task.max_attempts, task.enqueued_at, task.run_at, task.priority, task.crashes, task.linked,
        task.slot
),
holder AS MATERIALIZED (
    SELECT
        array_agg(claimed.slot) AS slots,
        array_agg(claimed.id) AS tasks,
        array_agg(claimed.lease) AS leases
    FROM claimed
    WHERE claimed.slot IS NOT NULL
),
taken AS (
    UPDATE {schema}.slots AS own
    SET
        task = (SELECT holder.tasks[array_position(holder.slots, own.slot)] FROM holder),
        lease = (SELECT holder.leases[array_position(holder.slots, own.slot)] FROM holder)
    WHERE own.queue = $2::text AND own.slot = ANY ((SELECT holder.slots FROM holder)::integer[])
),
spent AS (
    UPDATE {schema}.buckets AS own
    SET
        tokens = bucket.tokens - (SELECT count(*) FROM claimed),
        refilled_at = greatest(own.refilled_at, statement_timestamp())
    FROM bucket
    WHERE own.queue = $2::text AND EXISTS (SELECT FROM claimed)
),
full_key AS MATERIALIZED (
    SELECT asked.key
    FROM (
        SELECT placed.key, count(*) AS tasks, count(placed.key_slot) AS free
        FROM placed
        WHERE placed.keyed
        GROUP BY placed.key
    ) AS asked
    WHERE
        asked.tasks > asked.free
        AND asked.free = (SELECT count(*) FROM entered WHERE entered.key = asked.key)
        AND EXISTS (SELECT FROM alive)
),
locked AS MATERIALIZED (
    SELECT mine.key, count(*) AS slots
    FROM (
        SELECT own.key
        FROM {schema}.key_slots AS own
        WHERE
            own.queue = $2::text
            AND own.key = ANY (ARRAY(SELECT full_key.key FROM full_key))
        ORDER BY own.key, own.slot
        FOR UPDATE SKIP LOCKED
    ) AS mine
    GROUP BY mine.key
),
parking AS MATERIALIZED (
    SELECT full_key.key
    FROM full_key
    WHERE
        $5::boolean
        OR coalesce((SELECT locked.slots FROM locked WHERE locked.key = full_key.key), 0) = (
            SELECT count(*)
            FROM {schema}.key_slots AS own
            WHERE own.queue = $2::text AND own.key = full_key.key
        )
),
parked AS (
    UPDATE {schema}.tasks AS task
    SET parked = true
    WHERE
        task.id = ANY (ARRAY(
            SELECT placed.id
            FROM placed
            WHERE
                placed.key_slot IS NULL
                AND placed.key = ANY (ARRAY(SELECT parking.key FROM parking))
        ))
        AND task.worker IS NULL
    RETURNING task.id
)
SELECT
    NULL::bigint AS id, (SELECT count(*) FROM parked)::integer AS lease,
    (SELECT 'keys' FROM rule WHERE rule.running_per_key IS NOT NULL) AS name,
    NULL::text AS queue, NULL::text AS payload,
    coalesce((SELECT chance.room FROM chance), 0) AS attempt,
    (SELECT count(*) FROM candidate)::integer AS max_attempts, NULL::timestamptz AS enqueued_at,
    NULL::timestamptz AS run_at, NULL::smallint AS priority, NULL::smallint AS crashes,
    true AS limited, NULL::boolean AS linked
FROM rule
UNION ALL
SELECT
    id, lease, name, queue, payload, attempt, max_attempts, enqueued_at, run_at, priority, crashes,
    true, linked
FROM claimed
ORDER BY priority DESC, run_at, id
