"""What a store may be asked to do, drawn by hypothesis. For `colmillo.testing.machine`."""

import hashlib
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from colmillo.store import Again, Ending, Finish, FinishWith, NewTask, SetAside, Verdict
from colmillo.unique import Duplicate

HOUR = timedelta(hours=1)
"""Everything takes whole hours, so that the moments a call takes change no outcome."""

PERIOD = 2 * HOUR
MAX_CRASHES = 3
SCHEDULES = ("nightly", "hourly")
QUEUES = ("a", "b")


def whole(hours: int) -> timedelta:
    """So many hours."""
    return hours * HOUR


hours = st.integers(0, 3).map(whole)
picks = st.integers(0, 30)

duplicates: st.SearchStrategy[Duplicate] = st.sampled_from(["skip", "raise", "replace", "earlier"])

plain_tasks = st.builds(
    NewTask,
    name=st.just("work"),
    queue=st.sampled_from(QUEUES),
    payload=st.integers(0, 9).map(str),
    priority=st.integers(-1, 1),
    max_attempts=st.none(),
    delay=st.sampled_from([None, None, None, HOUR, 2 * HOUR]),
)
unique_tasks = st.builds(
    lambda task, key, rules, duplicate: replace(
        task,
        unique_hash=hashlib.sha256(key.encode()).digest(),
        unique_states=rules[0],
        unique_period=rules[1],
        duplicate=duplicate,
    ),
    plain_tasks,
    st.sampled_from("xy"),
    st.sampled_from([("live", None), ("waiting", None), ("live", PERIOD), ("finished", PERIOD)]),
    duplicates,
)
tasks = plain_tasks | unique_tasks

verdicts: st.SearchStrategy[Verdict] = st.one_of(
    st.builds(Finish),
    st.builds(Again, delay=hours, keep_attempt=st.booleans(), error=st.none() | st.just("no")),
    st.builds(FinishWith, result=st.integers(0, 9).map(str), keep=st.integers(1, 3).map(whole)),
    st.builds(SetAside, ending=st.sampled_from(Ending), error=st.just("never")),
)

LATE: tuple[Verdict, ...] = (
    Again(error="late"),
    Again(keep_attempt=False),
    SetAside(ending=Ending.FAILED, error="late"),
    FinishWith(result='"late"', keep=HOUR),
    Finish(),
)
"""What somebody may say whose task is another one's by now: nothing of it may count."""
