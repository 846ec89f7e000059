"""For tests of programs that use the queue, and of stores that implement it.

`drain` runs what is due in the test's own process, `run_one` calls one task, `InlineStore` runs
tasks as they are enqueued; `assert_enqueued` and `refute_enqueued` look into the queue.
`FakeClock` is time that a test moves, `DatabaseClock` takes a database along.
`colmillo.testing.sync` has the assertions for tests that are not async, and
`colmillo.testing.conformance` (which needs pytest and pytest-asyncio; nothing else here does)
the suite every store has to pass; `colmillo.testing.machine` needs hypothesis.
"""

from colmillo.testing.asserting import assert_enqueued, refute_enqueued
from colmillo.testing.attempts import Attempt, Drained, Ended
from colmillo.testing.bench import DrainFailed
from colmillo.testing.clock import FakeClock
from colmillo.testing.database_clock import DatabaseClock
from colmillo.testing.draining import drain
from colmillo.testing.inline import InlineStore
from colmillo.testing.single import run_one
from colmillo.testing.working import working

__all__ = [
    "Attempt",
    "DatabaseClock",
    "DrainFailed",
    "Drained",
    "Ended",
    "FakeClock",
    "InlineStore",
    "assert_enqueued",
    "drain",
    "refute_enqueued",
    "run_one",
    "working",
]
