-- Tells the children of tasks that have ended: a child whose parents have all ended is due now or
-- after its delay; one that does not run after a parent that was set aside is archived as
-- cancelled, and has ended in its turn. Answers with those that have children themselves.
-- To be run when the parents' ends are committed: of two that end at once, the later one of these
-- statements sees both. It waits for nobody: a child that somebody has locked stays for the next
-- time, and its parent in followups, where the sweep finds it. Running it twice does nothing.
-- Index: dependencies_pkey, dependencies_child, tasks_pkey, followups_pkey. The child's highest
-- open parent is looked for, so that the rows of those that ended are not walked over; all its
-- parents are looked at once, when the last has ended.
-- $1 the tasks that have ended, $2 errors kept, $3 channel (null wakes nobody).
WITH ended AS MATERIALIZED (
    SELECT parent, child, outcome, tolerant, delay, not_before
    FROM {schema}.dependencies
    WHERE parent = ANY ($1::bigint[]) AND NOT open
),
fate AS MATERIALIZED (
    SELECT
        child,
        min(parent) FILTER (WHERE NOT tolerant AND outcome <> 'done') AS culprit,
        (array_agg(outcome ORDER BY parent) FILTER (WHERE NOT tolerant AND outcome <> 'done'))[1]
            AS outcome,
        bool_and(tolerant) AS tolerant,
        max(delay) AS delay,
        max(not_before) AS not_before
    FROM ended
    GROUP BY child
),
decided AS MATERIALIZED (
    SELECT *
    FROM fate
    WHERE
        CASE
            WHEN fate.culprit IS NOT NULL THEN true
            WHEN
                (
                    SELECT other.parent
                    FROM {schema}.dependencies AS other
                    WHERE other.child = fate.child AND other.open
                    ORDER BY other.parent DESC
                    LIMIT 1
                ) IS NOT NULL
                THEN false
            ELSE
                fate.tolerant
                OR (
                    SELECT other.parent
                    FROM {schema}.dependencies AS other
                    WHERE
                        other.child = fate.child AND NOT other.open AND other.outcome <> 'done'
                    LIMIT 1
                ) IS NULL
        END
),
blocked AS MATERIALIZED (
    SELECT task.id
    FROM decided
    CROSS JOIN LATERAL (
        SELECT found.id
        FROM {schema}.tasks AS found
        WHERE found.id = decided.child AND found.run_at = 'infinity' AND found.worker IS NULL
        LIMIT 1
    ) AS task
),
locked AS MATERIALIZED (
    SELECT task.id, decided.culprit, decided.outcome, decided.delay, decided.not_before
    FROM decided
    CROSS JOIN LATERAL (
        SELECT found.id
        FROM {schema}.tasks AS found
        WHERE found.id = decided.child AND found.run_at = 'infinity' AND found.worker IS NULL
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ) AS task
),
left_alone AS MATERIALIZED (
    SELECT blocked.id FROM blocked WHERE blocked.id NOT IN (SELECT locked.id FROM locked)
),
released AS (
    UPDATE {schema}.tasks AS task
    SET
        run_at = greatest(
            statement_timestamp() + make_interval(secs => locked.delay), locked.not_before
        )
    FROM locked
    WHERE task.id = locked.id AND task.run_at = 'infinity' AND locked.culprit IS NULL
    RETURNING task.queue
),
cancelled AS (
    DELETE FROM {schema}.tasks AS task
    USING locked
    WHERE task.id = locked.id AND task.run_at = 'infinity' AND locked.culprit IS NOT NULL
    RETURNING task.*, locked.culprit, locked.outcome
),
archived AS (
    INSERT INTO {schema}.archive (
        id, run_at, enqueued_at, archived_at, worker, lease, attempt, max_attempts, priority,
        crashes, ending, queue, name, concurrency_key, payload, unique_hash, errors
    )
    SELECT
        id, statement_timestamp(), enqueued_at, statement_timestamp(), worker, lease, attempt,
        max_attempts, priority, crashes, 'cancelled', queue, name, concurrency_key, payload,
        unique_hash,
        (errors || format('its parent, task %s, ended as %s', culprit, outcome))[
            greatest(1, coalesce(cardinality(errors), 0) + 2 - $2::integer):
        ]
    FROM cancelled
),
closed AS (
    UPDATE {schema}.dependencies
    SET open = false, outcome = 'cancelled'
    WHERE parent = ANY (ARRAY(SELECT cancelled.id FROM cancelled)) AND open
    RETURNING parent
),
noted AS (
    INSERT INTO {schema}.followups (task)
    SELECT DISTINCT parent FROM closed
    ON CONFLICT (task) DO NOTHING
),
gone AS MATERIALIZED (
    SELECT cancelled.id FROM cancelled
    UNION
    SELECT past.id
    FROM (SELECT unnest($1::bigint[]) UNION SELECT fate.child FROM fate) AS past (id)
    WHERE (
        SELECT task.id
        FROM {schema}.tasks AS task
        WHERE task.id = past.id AND task.linked
        LIMIT 1
    ) IS NULL
),
dropped AS (
    DELETE FROM {schema}.dependencies
    WHERE
        ctid = ANY (ARRAY(
            SELECT old.ctid
            FROM {schema}.dependencies AS old
            WHERE old.child = ANY (ARRAY(SELECT gone.id FROM gone)) AND NOT old.open
            FOR UPDATE SKIP LOCKED
        ))
),
forgotten AS (
    DELETE FROM {schema}.followups
    WHERE
        ctid = ANY (ARRAY(
            SELECT old.ctid
            FROM {schema}.followups AS old
            WHERE
                old.task = ANY ($1::bigint[])
                AND old.task NOT IN (
                    SELECT ended.parent
                    FROM ended
                    WHERE ended.child IN (SELECT left_alone.id FROM left_alone)
                )
            FOR UPDATE SKIP LOCKED
        ))
)
SELECT
    ARRAY(SELECT DISTINCT closed.parent FROM closed) AS ended,
    (
        SELECT count(pg_notify($3::text, fresh.queue))
        FROM (SELECT DISTINCT queue FROM released WHERE $3::text IS NOT NULL) AS fresh
    ) AS notified
