-- What rescues walk along, page by page. As small as the number of tasks that run at one time.
CREATE INDEX tasks_running ON {schema}.tasks (id) WHERE worker IS NOT NULL
