"""The page about operating: its programs run, and its alerts ask for metrics that exist."""

import asyncio
import json
import logging
import re
import sys
from pathlib import Path
from typing import Any, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from colmillo import MemoryStore, PostgresStore, Queue, Worker, task
from colmillo.endings import Ended
from colmillo.opentelemetry import inject
from colmillo.prometheus import EventMetrics, QueueMetrics, TaskMetrics
from colmillo.store import State
from colmillo.testing.suite.harness import new, put

PAGE = (Path(__file__).parents[2] / "docs" / "colmillo" / "operate.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(ALERTS,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
EVENTS = re.findall(r"^\| `([^`]+)` \| (?:warning|error) ", PAGE, re.MULTILINE)
METRIC = re.compile(r"\b(colmillo_[a-z_]+)(?:\{(.*?)\})?")


@task()
async def job() -> None: ...


async def test_the_program_prints_what_it_says(dsn: str) -> None:
    (code,) = [code for code in PYTHON if "asyncio.run(" in code]
    (output,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    for what, instead in (("postgresql://localhost/app", dsn), ("server(9000)", "server(0)")):
        assert code.count(what) == 1
        code = code.replace(what, instead)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert (process.returncode, said.decode()) == (0, output)


def test_queues_and_workers_with_traces_can_be_made() -> None:
    (code,) = [code for code in PYTHON if "traced()" in code]
    names: dict[str, Any] = {}
    exec(code, names)
    store = PostgresStore(None)
    made = names["queue"](store)
    assert isinstance(made, Queue)
    assert made.outgoing is inject
    assert isinstance(names["worker"](store, [job]), Worker)


def test_the_formatter_writes_json() -> None:
    (code,) = [code for code in PYTHON if "logging.Formatter" in code]
    names: dict[str, Any] = {}
    exec(code, names)
    record = logging.makeLogRecord({"msg": "task failed", "levelname": "WARNING", "task_id": 7})
    told = json.loads(names["Json"]().format(record))
    assert told == {"level": "WARNING", "event": "task failed", "task_id": 7}


async def exposed() -> dict[str, Metric]:
    """Every metric there is, by the names of its samples."""
    registry = CollectorRegistry()
    store = MemoryStore()
    await put(store, new())
    tasks, events, queues = TaskMetrics(registry), EventMetrics(registry), QueueMetrics(store)
    worker = Worker(
        store, tasks=[job], queues={"default": 1}, middleware=[tasks.middleware, stopping]
    )
    events.emit(logging.makeLogRecord({"msg": "event"}))
    await put(store, job.new())
    stopping.worker = worker
    await worker.run()
    await queues.refresh()
    found = [*registry.collect(), *queues.collect()]
    names = {sample.name: metric for metric in found for sample in metric.samples}
    return names | {metric.name: metric for metric in found}


class Stopping:
    """Middleware that ends the worker after its first task."""

    worker: Worker

    async def __call__(self, ctx: Any, call_next: Any) -> None:
        await call_next()
        self.worker.stop()


stopping = Stopping()


async def test_every_metric_is_on_the_page_and_every_one_on_it_exists() -> None:
    there = await exposed()
    on_page = {name for name, _ in METRIC.findall(PAGE)} - {"colmillo_bench"}
    assert on_page <= there.keys()
    table = set(re.findall(r"^\| `(colmillo_\w+)` ", PAGE, re.MULTILINE))
    own = {
        sample.name
        for metric in there.values()
        for sample in metric.samples
        if metric.type != "histogram" and not sample.name.endswith("_created")
    }
    assert table == {*own, "colmillo_task_duration_seconds", "colmillo_archived_tasks"}


async def test_alerts_ask_for_labels_and_values_that_exist() -> None:
    there = await exposed()
    asked = [(name, selector) for name, selector in METRIC.findall(ALERTS) if selector]
    assert len(asked) > 3
    values = {
        "outcome": list(get_args(Ended)),
        "state": [*(state.value for state in State), "due", "later"],
        "event": EVENTS,
    }
    for name, selector in asked:
        found = re.fullmatch(r'(\w+)=~?"(.*)"', selector)
        assert found is not None, selector
        label, pattern = found.groups()
        for alternative in pattern.split("|"):
            assert any(re.fullmatch(alternative, value) for value in values[label]), alternative
        if there[name].samples:
            assert label in there[name].samples[0].labels
