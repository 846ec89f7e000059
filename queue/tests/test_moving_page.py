"""The page about moving: its program empties tables like those of the others."""

from pathlib import Path

import asyncpg
from pages import joined, run_program

# As far as the program looks at them. The first row of each waits, the others do not, or are
# not known here.
OLD_TABLES = """
CREATE TABLE procrastinate_jobs (
    id bigserial PRIMARY KEY, task_name text, args jsonb, priority int, status text,
    scheduled_at timestamptz);
INSERT INTO procrastinate_jobs (task_name, args, priority, status, scheduled_at) VALUES
    ('send', '{"to": "procrastinate"}', 7, 'todo', '2040-01-01 12:00Z'),
    ('send', '{"to": "nobody"}', 0, 'doing', NULL),
    ('other', '{}', 0, 'todo', NULL);
CREATE TABLE pgqueuer (
    id bigserial PRIMARY KEY, entrypoint text, payload bytea, priority int, status text,
    execute_after timestamptz DEFAULT now());
INSERT INTO pgqueuer (entrypoint, payload, priority, status) VALUES
    ('send', '{"to": "pgqueuer"}', 3, 'queued'), ('send', '{"to": "nobody"}', 0, 'picked');
CREATE TABLE fang_tasks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), metadata jsonb, state text,
    scheduled_at timestamptz DEFAULT now(), created_at timestamptz DEFAULT now());
INSERT INTO fang_tasks (metadata, state) VALUES
    ('{"type": "SendMail", "to": "fang"}', 'retried'),
    ('{"type": "SendMail", "to": "nobody"}', 'in_progress');
CREATE TABLE backie_tasks (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), task_name text, payload jsonb,
    scheduled_at timestamptz DEFAULT now(), created_at timestamptz DEFAULT now(),
    running_at timestamptz, done_at timestamptz);
INSERT INTO backie_tasks (task_name, payload, running_at) VALUES
    ('send', '{"to": "backie"}', NULL), ('send', '{"to": "nobody"}', now());
"""


async def test_what_waits_is_moved_and_the_rest_stays(empty_dsn: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(empty_dsn)
    try:
        await connection.execute(OLD_TABLES)
        for said in (joined("moving.md", "text"), ""):
            assert await run_program(joined("moving.md", "python"), empty_dsn, tmp_path) == said
        rows = await connection.fetch(
            "SELECT payload::jsonb ->> 'to' AS to, priority, extract(year FROM run_at)::int AS year"
            " FROM colmillo.tasks WHERE queue = 'mail' ORDER BY id"
        )
        moved = [(row["to"], row["priority"]) for row in rows]
        assert moved == [("procrastinate", 7), ("pgqueuer", 3), ("fang", 0), ("backie", 0)]
        assert rows[0]["year"] == 2040
        left = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM procrastinate_jobs), (SELECT count(*) FROM pgqueuer),"
            " (SELECT count(*) FROM fang_tasks), (SELECT count(*) FROM backie_tasks)"
        )
        assert left is not None
        assert tuple(left) == (2, 1, 1, 1)
    finally:
        await connection.close()
