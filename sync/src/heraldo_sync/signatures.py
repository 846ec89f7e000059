"""Who sent a push: the HMAC of its body under a secret that only the hub was told (WebSub §7.1)."""

import hashlib
import hmac
import re

_METHODS = {
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}
_HEADER = re.compile(r"\s*(sha1|sha256|sha384|sha512)=([0-9a-f]{40,128})\s*", re.IGNORECASE)


class Signature:
    """A signature to be checked while the body comes in; nothing of the body is kept."""

    def __init__(self, method: str, claimed: bytes, secret: str) -> None:
        self._claimed = claimed
        self._mac = hmac.new(secret.encode(), digestmod=_METHODS[method])

    @classmethod
    def read(cls, header: str | None, secret: str) -> "Signature | None":
        """Reads ``X-Hub-Signature``; None for a header that can match no body."""
        found = _HEADER.fullmatch(header or "")
        if found is None or len(found[2]) % 2:
            return None
        return cls(found[1].lower(), bytes.fromhex(found[2]), secret)

    def update(self, chunk: bytes) -> None:
        """Takes the body's next bytes."""
        self._mac.update(chunk)

    def matches(self) -> bool:
        """Whether the body was signed with the secret; takes the same time however wrong it is."""
        return hmac.compare_digest(self._mac.digest(), self._claimed)
