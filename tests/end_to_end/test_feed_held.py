"""``heraldo feed held``, as an operator calls it."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import pytest

from heraldo.database import migrate

BASE = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
PLAIN = "https://blog.example/feed"
ROWS = """
INSERT INTO feeds (url, title) VALUES
    ('https://blog.example/feed', E'Blog\\n\\u009b'),
    ('https://me:hunter2@paid.example/f?token=hunter2', 'Paid');
INSERT INTO chats (id, kind, title) VALUES (11, 'private', 'Ana'), (-12, 'group', 'Club');
INSERT INTO targets (chat_id, topic_id) VALUES (11, 0), (-12, 5);
INSERT INTO subscriptions (target_id, feed_id) SELECT t.id, f.id FROM targets t, feeds f;
INSERT INTO entries (feed_id, key, content, title, html)
SELECT f.id, sha256(n::text::bytea), sha256(''), '', ''
FROM feeds f, generate_series(1, 3) n;
INSERT INTO deliveries (subscription_id, target_id, entry_id, status, created_at)
SELECT s.id, s.target_id, e.id, 'held', '2026-11-01 08:00Z'
FROM subscriptions s JOIN entries e ON e.feed_id = s.feed_id;
"""


async def held(dsn: str, folder: Path, *arguments: str, code: int = 0) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "heraldo.cli", "feed", "held", *arguments),
        cwd=folder,
        env={**BASE, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "DATABASE_URL": dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        said, errors = await process.communicate()
    assert process.returncode == code, errors.decode()
    assert b"Traceback" not in errors
    return said.decode()


@pytest.fixture
async def kept(empty_dsn: str) -> str:
    """Two chats follow two feeds; three posts of each feed are held for each chat."""
    await migrate(empty_dsn)
    connection = await asyncpg.connect(empty_dsn)
    await connection.execute(ROWS)
    await connection.close()
    return empty_dsn


async def statuses(dsn: str) -> dict[tuple[int, bool], str]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT DISTINCT t.chat_id, f.url, d.status FROM deliveries d"
        " JOIN targets t ON t.id = d.target_id JOIN subscriptions s ON s.id = d.subscription_id"
        " JOIN feeds f ON f.id = s.feed_id"
    )
    await connection.close()
    return {(row["chat_id"], row["url"] == PLAIN): row["status"] for row in rows}


async def test_what_is_held_is_listed_then_sent_or_skipped(kept: str, tmp_path: Path) -> None:
    listed = await held(kept, tmp_path)
    assert len(listed.splitlines()) == 4
    assert f"chat 11 (Ana): Blog  {PLAIN}: 3 held, skipped 8 Nov 2026, 08:00 UTC" in listed
    assert "chat -12, topic 5 (Club): Paid https://paid.example/f?token=…: 3 held" in listed
    assert "hunter2" not in listed
    assert set((await statuses(kept)).values()) == {"held"}
    assert "3 on their way" in await held(kept, tmp_path, PLAIN, "--chat", "11", "--send")
    assert await statuses(kept) == {
        (11, True): "waiting",
        (11, False): "held",
        (-12, True): "held",
        (-12, False): "held",
    }
    connection = await asyncpg.connect(kept)
    assert await connection.fetchval("SELECT count(*) FROM colmillo.tasks") == 1
    await connection.close()
    assert "3 skipped" in await held(kept, tmp_path, "--skip", "--chat", "-12")
    assert len((await held(kept, tmp_path)).splitlines()) == 1
    assert await held(kept, tmp_path, PLAIN) == "Nothing is held.\n"


async def test_wrong_arguments(kept: str, tmp_path: Path) -> None:
    await held(kept, tmp_path, "gopher://x.example/", code=2)
    await held(kept, tmp_path, "--chat", "Ana", code=2)
    await held(kept, tmp_path, "--send", "--skip", code=2)
    assert set((await statuses(kept)).values()) == {"held"}
