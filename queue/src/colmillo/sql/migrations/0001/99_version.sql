-- Last, so that a schema that says 1 has all of it.
INSERT INTO {schema}.versions (version) VALUES (1)
