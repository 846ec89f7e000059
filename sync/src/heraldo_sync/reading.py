"""From a document that was fetched to its entries, parsing no more of it than is needed."""

import asyncio
import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from heraldo_sync import gate
from heraldo_sync.detect import Kind, detect
from heraldo_sync.model import Failed, Fetched, ParsedEntry, ParsedFeed, Reason
from heraldo_sync.order import oldest_first
from heraldo_sync.readers import Readers

logger = logging.getLogger(__name__)

# Cutting takes the event loop 4 ms for each megabyte; more than a millisecond goes to a thread.
_MAX_IN_LOOP = 256 * 1024
# One thread: it holds Python's lock anyway, and cutting takes several copies of a document.
_CUTTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A feed that was fetched and parsed, as far as it was not known.

    ``entries`` are in the order to send them. ``familiar`` are the beginnings of the keys
    (`identity.KEY_BEGINNING`) of those that were in the document besides, read before and stored,
    each different. ``body_hash`` is SHA-256 of the body. ``items`` is to be kept once the
    entries are stored.
    """

    fetched: Fetched
    parsed: ParsedFeed
    body_hash: bytes
    entries: tuple[ParsedEntry, ...]
    familiar: frozenset[bytes] = frozenset()
    items: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Familiar:
    """The body is new and says nothing new: all its items have been read before."""

    fetched: Fetched
    body_hash: bytes


def body_hash(body: bytes) -> bytes:
    """The key of the second gate."""
    return hashlib.sha256(body).digest()


async def read(
    services: Readers, fetched: Fetched, *, seen: bytes | None
) -> Reading | Familiar | Failed:
    """Parses the items that are new; what comes of it equals what reading all would bring.

    ``seen`` is the ``items`` of the last reading.
    """
    known = gate.unpack(seen)
    document = await _outline(fetched)
    if known is not None and document is not None:
        places = gate.unseen(document, known)
        if places == []:
            return Familiar(fetched=fetched, body_hash=body_hash(fetched.body))
        if places is not None and len(places) < len(document.hashes):
            reading = await _read_some(services, fetched, document, known, places)
            if reading is not None:
                return reading
    return await _read_all(services, fetched, document)


async def read_whole(services: Readers, fetched: Fetched) -> Reading | Failed:
    """Parses all of what was fetched."""
    return await _read_all(services, fetched, await _outline(fetched))


async def _outline(fetched: Fetched) -> gate.Outline | None:
    arguments = (fetched.body, fetched.url, fetched.content_type)
    if len(fetched.body) <= _MAX_IN_LOOP:
        return gate.outline(*arguments)
    if detect(fetched.body) is Kind.HTML:
        # No parser will find items in it, and nothing else runs while a pattern is matched.
        return None
    return await asyncio.get_running_loop().run_in_executor(_CUTTER, gate.outline, *arguments)


async def _read_some(
    services: Readers,
    fetched: Fetched,
    document: gate.Outline,
    known: gate.Seen,
    places: list[int],
) -> Reading | Failed | None:
    """None if all of the document has to be read."""
    parsed = await services.parser.parse(
        document.only(places), url=fetched.url, content_type=gate.TRIMMED_TYPE
    )
    if isinstance(parsed, Failed):
        return parsed if parsed.reason is Reason.PARSE_TIMEOUT else None
    found = gate.joined(document, known, places, parsed)
    if found is None:
        logger.info("new items could not be read alone", extra={"items": len(places)})
        return None
    entries, now = found
    return Reading(
        fetched=fetched,
        parsed=parsed,
        body_hash=body_hash(fetched.body),
        entries=entries,
        familiar=frozenset(
            now.items[item][0]
            for place, item in enumerate(document.hashes)
            if place not in set(places)
        ),
        items=gate.pack(now),
    )


async def _read_all(
    services: Readers, fetched: Fetched, document: gate.Outline | None
) -> Reading | Failed:
    parsed = await services.parser.parse(
        fetched.body, url=fetched.url, content_type=fetched.content_type
    )
    if isinstance(parsed, Failed):
        return parsed
    return Reading(
        fetched=fetched,
        parsed=parsed,
        body_hash=body_hash(fetched.body),
        entries=oldest_first(parsed.entries),
        items=gate.pack(gate.remember(document, parsed) if document else None),
    )
