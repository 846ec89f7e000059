"""The pool that everything shares."""

import asyncio

from asyncpg.connection import LoggedQuery

from heraldo.database import open_pool


async def test_giving_a_connection_back_costs_no_statement(dsn: str) -> None:
    heard: list[str] = []
    second = asyncio.Event()

    def hear(record: LoggedQuery) -> None:
        heard.append(record.query)
        if record.query == "SELECT 2":
            second.set()

    async with open_pool(dsn, size=1) as pool:
        async with pool.acquire() as connection:
            await connection.execute("SELECT 1")
            connection.add_query_logger(hear)
        async with pool.acquire() as connection:
            await connection.execute("SELECT 2")
        # Loggers are told in their own turn of the loop.
        await second.wait()
    assert heard == ["SELECT 2"]


async def test_a_transaction_that_was_left_open_is_undone(dsn: str) -> None:
    async with open_pool(dsn, size=1) as pool:
        async with pool.acquire() as connection:
            await connection.execute("BEGIN")
            await connection.execute("INSERT INTO chats (id, kind) VALUES (1, 'private')")
        async with pool.acquire() as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("SELECT count(*) FROM chats") == 0
