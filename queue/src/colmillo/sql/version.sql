-- The newest migration of the schema; fails when the schema has no tables yet.
SELECT coalesce(max(version), 0) FROM {schema}.versions
