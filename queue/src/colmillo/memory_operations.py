"""What people do with single tasks in memory: `colmillo.operations`."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from colmillo.operations import CANCELS, Cancellation, CancelRequest
from colmillo.store import Ending

if TYPE_CHECKING:
    from colmillo.memory import _Row
    from colmillo.store import TaskId, WorkerId


class MemoryOperations:
    """The part of `MemoryStore` that is not for workers' every minute."""

    _live: "dict[TaskId, _Row]"
    _wakers: list[Callable[[str], None]]

    def __init__(self) -> None:
        self._cancellations: dict[TaskId, str] = {}

    async def cancel(
        self, task: "TaskId", why: str, *, connection: object | None = None
    ) -> Cancellation:
        """Archives the task or asks its worker to; see `Operations.cancel`."""
        del connection
        row = self._live.get(task)
        if row is None:
            return Cancellation.ABSENT
        if row.worker is None:
            self._set_aside(row, Ending.CANCELLED, why)
            return Cancellation.ARCHIVED
        self._cancellations[task] = why
        for wake in list(self._wakers):
            wake(CANCELS)
        return Cancellation.REQUESTED

    async def cancel_requests(self, worker: "WorkerId") -> Sequence[CancelRequest]:
        """What the worker has to cancel; see `Operations.cancel_requests`."""
        requests: list[CancelRequest] = []
        for task, why in list(self._cancellations.items()):
            row = self._live.get(task)
            if row is not None and row.worker is None:
                self._set_aside(row, Ending.CANCELLED, why)
            if row is None or row.worker is None:
                del self._cancellations[task]
            elif row.worker == worker:
                requests.append(CancelRequest(id=task, lease=row.lease, why=why))
        return requests

    def _set_aside(self, row: "_Row", ending: Ending, error: str) -> None: ...
