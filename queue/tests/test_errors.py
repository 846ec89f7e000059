"""One base class; messages from docstrings; errors survive pickling."""

import pickle
from collections.abc import Iterator

import pytest

import colmillo.embedded
import colmillo.errors
from colmillo import ColmilloError


def family(base: type[ColmilloError] = ColmilloError) -> Iterator[type[ColmilloError]]:
    yield base
    for child in base.__subclasses__():
        yield from family(child)


OWN = [error for error in family() if error.__module__ == colmillo.errors.__name__]


@pytest.mark.parametrize("error", OWN)
def test_message_and_pickling(error: type[ColmilloError]) -> None:
    raised = error("of task 3")
    copy = pickle.loads(pickle.dumps(raised))
    assert type(copy) is error
    assert (copy.detail, str(copy)) == ("of task 3", str(raised))
    assert str(raised).endswith(": of task 3")
    assert str(error()) == (error.__doc__ or "").splitlines()[0].rstrip(".")


def test_there_is_one_base() -> None:
    assert len(OWN) >= 5
    for error in vars(colmillo.errors).values():
        if isinstance(error, type) and issubclass(error, Exception):
            assert issubclass(error, ColmilloError)
