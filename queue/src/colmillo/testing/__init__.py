"""For tests of programs that use the queue, and of stores that implement it.

`FakeClock` is time that a test moves. `colmillo.testing.conformance` (which needs pytest and
pytest-asyncio) is the suite every store has to pass.
"""

from colmillo.testing.clock import FakeClock

__all__ = ["FakeClock"]
