"""The suite that every store has to pass. It needs pytest and pytest-asyncio.

To test a store, subclass `StoreConformance` and give it a fixture ``harness``::

    class MyHarness:
        def __init__(self, ...) -> None:
            self.store = MyStore(...)       # empty
            self.sibling = MyStore(...)     # a second handle on the same tasks

        async def advance(self, by: timedelta) -> None:
            ...                             # moves the store's clock on


    class TestMyStore(StoreConformance):
        @pytest.fixture
        async def harness(self) -> MyHarness:
            return MyHarness(...)

Put ``pytest.register_assert_rewrite("colmillo.testing.suite")`` into ``conftest.py`` to get
pytest's explanations. The methods are tests, free to grow: a new version of colmillo may ask
more of a store. What a transaction undoes is not among them, as not every store has any.
"""

import pytest

from colmillo.testing.suite.claim import ClaimConformance
from colmillo.testing.suite.controls import ControlConformance
from colmillo.testing.suite.enqueue import EnqueueConformance
from colmillo.testing.suite.flows import FlowConformance
from colmillo.testing.suite.flows_failing import FailingFlowConformance
from colmillo.testing.suite.harness import Harness
from colmillo.testing.suite.housekeeping import HousekeepingConformance
from colmillo.testing.suite.leases import LeaseConformance
from colmillo.testing.suite.limits import LimitConformance
from colmillo.testing.suite.operations import (
    CancelConformance,
    DepthConformance,
    LiveConformance,
    RequeueConformance,
    ResultConformance,
)
from colmillo.testing.suite.schedule import ScheduleConformance
from colmillo.testing.suite.settling import SettleConformance
from colmillo.testing.suite.unique import UniqueConformance


@pytest.mark.asyncio
class StoreConformance(
    EnqueueConformance,
    ClaimConformance,
    SettleConformance,
    LeaseConformance,
    ScheduleConformance,
    LiveConformance,
    CancelConformance,
    RequeueConformance,
    ResultConformance,
    DepthConformance,
    ControlConformance,
    HousekeepingConformance,
    LimitConformance,
    UniqueConformance,
    FlowConformance,
    FailingFlowConformance,
):
    """All of it."""


__all__ = ["Harness", "StoreConformance"]
