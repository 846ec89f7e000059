-- One lease per worker process, renewed in place. No index names expires_at, so a renewal
-- touches one page and no index.
CREATE TABLE {schema}.workers (
    id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    name text NOT NULL
) WITH (
    fillfactor = 30,
    autovacuum_vacuum_threshold = 200,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
)
