-- Removes what `bench_create` made, with everything in it.
DROP SCHEMA {schema} CASCADE
