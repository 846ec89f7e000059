-- The parents of a task in a flow, in the order in which they were given, and what they hand to
-- it; none for what is not in a flow any more. Index: dependencies_child, tasks_pkey.
-- $1 id of the child.
SELECT parent, outcome, result
FROM {schema}.dependencies
WHERE
    child = $1::bigint
    AND EXISTS (SELECT FROM {schema}.tasks WHERE id = $1::bigint AND linked)
ORDER BY position
