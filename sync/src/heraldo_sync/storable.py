"""What the database can hold of a text: everything but NUL and half a surrogate pair."""


def storable(text: str) -> str:
    """Returns the text as it is read back once it has been stored."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def storable_or_none(text: str | None) -> str | None:
    """Like `storable`, for what may be absent."""
    return None if text is None else storable(text)
