"""What an entry is recognised by: its key, and what else it shows of itself.

Pure functions of what was parsed. Stored keys and hashes outlive every version of this program.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from heraldo_sync.model import ParsedEntry
from heraldo_sync.storable import storable

_TRACKING = re.compile(r"(utm_\w+|fbclid|gclid|dclid|msclkid|mc_cid|mc_eid|yclid|igshid)(=|$)")
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_WWW = re.compile(r"www\d?\.(?=[^/?#]*\.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What an entry is compared by.

    ``key`` is SHA-256 of the guid, without one of the link, without that of what it says;
    ``link`` is loose (`loosened`), ``content`` SHA-256 of the HTML, ``date`` when it was
    published, else updated.
    """

    key: bytes
    link: str
    title: str
    content: bytes
    date: datetime | None

    @property
    def likeness(self) -> int | None:
        """64 bits of link, title and date together, to look it up by; None without a date."""
        if self.date is None:
            return None
        moment = self.date.astimezone(UTC).isoformat()
        digest = _digest("likeness", self.link, self.title, moment)
        return int.from_bytes(digest[:8], "big", signed=True)


def traits(entry: ParsedEntry) -> Traits:
    """Returns an entry's traits."""
    return Traits(
        key=key_of(entry),
        link=loosened(entry.link),
        title=storable(entry.title),
        content=content_of(entry),
        date=date_of(entry),
    )


def key_of(entry: ParsedEntry) -> bytes:
    """Returns what an entry is known by while no other entry of its feed has the same."""
    if entry.guid:
        return _digest("guid", entry.guid)
    if link := loosened(entry.link):
        return _digest("link", link)
    return _digest("title html", entry.title, entry.html)


def content_of(entry: ParsedEntry) -> bytes:
    """Returns the hash of an entry's HTML."""
    return _digest("html", entry.html)


def date_of(entry: ParsedEntry) -> datetime | None:
    """Returns when an entry was published, without that when it was updated."""
    return entry.published_at or entry.updated_at


def loosened(link: str | None) -> str:
    """Returns what of a link says where it leads.

    Without http or https, "www", a slash at the end of the path and the parameters that count
    visitors; the fragment stays, as some feeds have nothing else to tell posts apart.
    """
    rest, hash_, fragment = storable(link or "").strip().partition("#")
    found = _SCHEME.match(rest)
    if found:
        rest = rest[found.end() :]
        host = re.match(r"[^/?]*", rest)
        end = host.end() if host else 0
        rest = _WWW.sub("", rest[:end].lower(), count=1) + rest[end:]
    path, _, query = rest.partition("?")
    kept = "&".join(part for part in query.split("&") if part and not _TRACKING.match(part))
    return path.rstrip("/") + ("?" + kept if kept else "") + (hash_ + fragment if fragment else "")


def _digest(kind: str, *values: str) -> bytes:
    """Every part is preceded by its length, so that no two lists give the same bytes."""
    digest = hashlib.sha256()
    for part in (kind, *values):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()
