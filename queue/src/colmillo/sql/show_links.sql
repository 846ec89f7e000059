-- What a task of a flow waits for and what waits for it, for people.
-- Index: dependencies_child, dependencies_pkey.
-- $1 id.
SELECT parent AS task, 'parent' AS kind, outcome
FROM {schema}.dependencies
WHERE child = $1::bigint
UNION ALL
SELECT child, 'child', NULL
FROM {schema}.dependencies
WHERE parent = $1::bigint
ORDER BY kind DESC, task
