"""What it takes to read a feed."""

from typing import Protocol

from heraldo_sync.fetch import Fetcher
from heraldo_sync.parse import Parser


class Readers(Protocol):
    """What it takes to read a feed that nobody keeps."""

    @property
    def fetcher(self) -> Fetcher:
        """Asks the server."""
        ...

    @property
    def parser(self) -> Parser:
        """Reads what it answered."""
        ...

    @property
    def rsshub(self) -> str | None:
        """The base address of the operator's RSSHub, if there is one."""
        ...
