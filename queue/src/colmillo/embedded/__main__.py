"""``python -m colmillo.embedded FOLDER``: runs a server until it is stopped, to try things with."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from colmillo.embedded import EmbeddedError, EmbeddedPostgres


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the server of a folder and says its address; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m colmillo.embedded",
        description="Runs a PostgreSQL server in a folder (made if there is none) until Ctrl-C.",
    )
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(argv).folder
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    server = EmbeddedPostgres(folder)
    try:
        server.start()
    except EmbeddedError as error:
        sys.stderr.write(f"colmillo: {error}\n")
        return 1
    try:
        if server.owned:
            say(f"PostgreSQL runs in {folder}; Ctrl-C stops it. Its address, for other terminals:")
        else:
            say(f"Another program runs the server in {folder} already. Its address:")
            stopped.set()
        say(f"\nexport DATABASE_URL='{server.dsn()}'\n")
        stopped.wait()
    finally:
        server.stop()
    return 0


def say(text: str) -> None:
    """Writes a line that is seen at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
