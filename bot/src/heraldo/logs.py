"""Log lines on standard error: a constant message and its fields, and never a secret."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict

from heraldo.redact import RedactingFilter

# These tell what they do at INFO, addresses with the token included.
TALKATIVE = ("httpx", "httpcore", "telegram", "apscheduler")


def set_up_logging(level: str, stream: TextIO = sys.stderr) -> None:
    """Sends every log event to ``stream`` as one line; replaces what was set up before."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _traceback,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(colors=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _traceback(_: object, __: str, event: EventDict) -> EventDict:
    """The filter has put the traceback into words already, without its secrets."""
    text = event["_record"].exc_text
    if text:
        event["exception"] = text
    return event
