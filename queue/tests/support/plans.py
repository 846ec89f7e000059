"""Prepares the queue's statements for EXPLAIN, those that stand in functions too."""

import re
from typing import TYPE_CHECKING

from colmillo.schema import queries

if TYPE_CHECKING:
    from colmillo.database import Connection

_FIND = """
SELECT prosrc, proconfig, pg_get_function_identity_arguments(oid) AS arguments
FROM pg_proc
WHERE pronamespace = 'colmillo'::regnamespace AND proname = $1
"""
_BODY = re.compile(r"\bRETURN(?: QUERY)?\s+(.+);\s+END\s*$", re.DOTALL)


async def prepare(connection: "Connection", name: str, *, as_: str = "hot") -> None:
    """Prepares ``sql/<name>.sql``, or the statement in the function that it calls.

    A function's settings become the session's, so that the plan is the one it would get.
    """
    await connection.execute("RESET ALL")
    function = await connection.fetchrow(_FIND, name)
    if function is None:
        await connection.execute(f"PREPARE {as_} AS {queries('colmillo')[name]}")
        return
    body = _BODY.search(function["prosrc"])
    assert body is not None, name
    for setting in function["proconfig"] or ():
        await connection.execute(f"SET {setting}")
    statement = body[1].strip()
    if statement.startswith("("):
        statement = statement.removeprefix("(").removesuffix(")")
    await connection.execute(f"PREPARE {as_} ({function['arguments']}) AS {statement}")
