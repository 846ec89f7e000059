"""The sync's exceptions: one base, the text for people as the message."""


class SyncError(Exception):
    """The sync could not do what it was asked; the message may be shown to people."""


class InvalidUrl(SyncError):
    """The text is not a web address that this bot can open; the message says why."""


class InvalidHeader(SyncError):
    """A private header is none, or may not be set; the message says why, without its value."""


class ParserUnavailable(SyncError):
    """The parser process could not be started: the fault is this machine's, not the feed's."""


def quoted(text: str) -> str:
    """Returns the text between single quotation marks, as messages for people quote it."""
    return f"\N{LEFT SINGLE QUOTATION MARK}{text}\N{RIGHT SINGLE QUOTATION MARK}"
