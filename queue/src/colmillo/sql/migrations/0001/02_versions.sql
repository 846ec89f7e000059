-- One row per migration that was carried out.
CREATE TABLE {schema}.versions (
    version integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
)
