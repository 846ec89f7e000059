"""Log records without secrets, whatever part of them holds one."""

import logging

import pytest

from heraldo.redact import RedactingFilter, redact

TOKEN = "7000000001:" + "AbC-_9" * 6
SECRETS = (TOKEN, "s3cr3t")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"token {TOKEN}!", "token <token>!"),
        (f"https://h/bot{TOKEN}/getMe", "https://h/bot<token>/getMe"),
        ("http://127.0.0.1:80/bot1:short/x", "http://127.0.0.1:80/bot<token>/x"),
        (f"https://h/file/bot{TOKEN}/f.jpg", "https://h/file/bot<token>/f.jpg"),
        ("postgresql://me:s3cr3t@db:5432/x", "postgresql://db:5432/x"),
        ("https://me:s3@cr3t@e.org/a@b", "https://e.org/a@b"),
        ("https://h/x/websub/" + "Ab-_" * 10 + "?a", "https://h/x/websub/<key>?a"),
        ("mail a@b.org at 12:30, https://e.org/@user", None),
        ("/bottle/5 12:30:45", None),
    ],
)
def test_redact(text: str, expected: str | None) -> None:
    assert redact(text) == (text if expected is None else expected)


def formatted(record: logging.LogRecord) -> str:
    assert RedactingFilter().filter(record)
    formatter = logging.Formatter("%(message)s %(url)s %(count)s", defaults={"count": 0, "url": ""})
    return formatter.format(record)


def make(**changes: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": "asked", "levelno": 20, "levelname": "INFO", **changes})


def test_arguments_and_extra_fields() -> None:
    line = formatted(
        make(msg="asked %s", args=(f"http://h/bot{TOKEN}/x",), url="http://u:s3cr3t@h/", count=3)
    )
    assert line == "asked http://h/bot<token>/x http://h/ 3"


def test_tracebacks_with_their_causes() -> None:
    try:
        try:
            raise ValueError(f"http://h/bot{TOKEN}/x")
        except ValueError as cause:
            raise RuntimeError("https://me:s3cr3t@h/") from cause
    except RuntimeError as error:
        line = formatted(make(exc_info=(type(error), error, error.__traceback__)))
    assert "RuntimeError: https://h/" in line
    assert "ValueError: http://h/bot<token>/x" in line
    assert not any(secret in line for secret in SECRETS)
