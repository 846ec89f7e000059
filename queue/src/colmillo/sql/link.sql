-- Makes tasks that were just added the parts of a flow: those with parents wait until infinity.
-- Index: tasks_pkey. Nobody else sees the tasks yet.
-- $1 ids, $2 whether each has parents; of each dependency $3 parent, $4 child, $5 position among
-- the child's parents, $6 whether the child runs whatever became of its parents, $7 the child's
-- delay in seconds, $8 the time before which it is not due (or null).
WITH linked AS (
    UPDATE {schema}.tasks AS task
    SET linked = true, run_at = CASE WHEN given.blocked THEN 'infinity' ELSE task.run_at END
    FROM unnest($1::bigint[], $2::boolean[]) AS given (id, blocked)
    WHERE task.id = ANY ($1::bigint[]) AND task.id = given.id
)
INSERT INTO {schema}.dependencies (parent, child, position, tolerant, delay, not_before)
SELECT *
FROM unnest(
    $3::bigint[], $4::bigint[], $5::smallint[], $6::boolean[], $7::double precision[],
    $8::timestamptz[]
)
