"""A task queue in PostgreSQL for asyncio programs.

Declare async functions with `task`, put calls of them into a `Queue`, run them with a `Worker`.
"""

import logging

from colmillo.context import Context
from colmillo.errors import ColmilloError, InvalidTask, LeaseLost
from colmillo.memory import MemoryStore
from colmillo.outcome import Cancel, Discard, Done, Outcome, Retry, Snooze
from colmillo.postgres import PostgresStore
from colmillo.queue import Queue
from colmillo.retry import Backoff
from colmillo.schedule import Cron, Every
from colmillo.schema import migrate
from colmillo.store import Enqueued, NewTask
from colmillo.task import Task, declare, task
from colmillo.unique import Unique
from colmillo.worker import Worker

__all__ = [
    "Backoff",
    "Cancel",
    "ColmilloError",
    "Context",
    "Cron",
    "Discard",
    "Done",
    "Enqueued",
    "Every",
    "InvalidTask",
    "LeaseLost",
    "MemoryStore",
    "NewTask",
    "Outcome",
    "PostgresStore",
    "Queue",
    "Retry",
    "Snooze",
    "Task",
    "Unique",
    "Worker",
    "declare",
    "migrate",
    "task",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())
