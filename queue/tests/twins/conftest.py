"""One failure is enough to tell a twin: the rest of its tests need not run."""

from collections.abc import Generator

import pytest

_told: set[object] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        _told.add(getattr(item, "cls", None))
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    if getattr(item, "cls", None) in _told:
        pytest.skip("this twin has been told")
