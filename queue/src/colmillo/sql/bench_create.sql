-- A schema for a measurement, which must not be there yet.
CREATE SCHEMA {schema}
