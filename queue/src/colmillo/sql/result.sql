-- A kept result whose time is not over. Index: results_pkey.
-- $1 id.
SELECT result
FROM {schema}.results
WHERE id = $1::bigint AND expires_at > statement_timestamp()
