"""Where private headers are locked away: encrypted for the database, and told apart by it.

Fernet encrypts and authenticates (AES-128-CBC, HMAC-SHA256); HMAC-SHA256 makes fingerprints. Each
has a key of its own, derived from the operator's, so that a copy of the database alone neither
gives a password away nor lets anybody try passwords against it.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from heraldo_sync.errors import InvalidHeader
from heraldo_sync.private import Private, read

_KEY_BYTES = 32


class Vault:
    """Locks with its first key and opens with any (docs/decisions/0024-private-feeds.md)."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Takes keys as `new_key` makes them, the current one first. Raises ValueError."""
        raw = [_key(text) for text in keys]
        if not raw:
            raise ValueError("there is no key")
        self._seals = MultiFernet(
            [Fernet(base64.urlsafe_b64encode(_derived(key, b"seal"))) for key in raw]
        )
        self._fingers = [_derived(key, b"fingerprint") for key in raw]

    def seal(self, private: Private) -> str:
        """Returns the headers and their origin encrypted; every time another text."""
        return self._seals.encrypt(private.text().encode()).decode("ascii")

    def open(self, sealed: str) -> Private | None:
        """Returns what was sealed; None if none of the keys opens it."""
        try:
            return read(self._seals.decrypt(sealed.encode("utf-8", "replace")).decode())
        except (InvalidToken, InvalidHeader, UnicodeDecodeError):
            return None

    def fingerprints(self, private: Private) -> list[bytes]:
        """What the same headers for the same origin are known by, with the current key first."""
        text = private.identity().encode()
        return [hmac.digest(key, text, "sha256") for key in self._fingers]


def new_key() -> str:
    """Returns a new key: 32 random bytes as base64."""
    return Fernet.generate_key().decode("ascii")


def _key(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        # Not the text itself: it may be a key with a slip in it.
        raise ValueError("is no key; `heraldo new-key` makes one")
    return raw


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"heraldo private feeds, " + purpose, "sha256")
