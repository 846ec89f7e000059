"""Feeds made here: text that compresses as prose does, sizes as they are out there."""

import gzip
import math
import random
from dataclasses import dataclass

MEDIAN, P90, LARGEST = 28_000, 308_000, 2_500_000
"""Bytes of the feeds of a corpus of 460 real ones; their mean is 124 KB."""

_P90_SIGMAS = 1.2816
_HEAD = 700
_ITEM_HEAD = 330
_TEXT = 3_000_000


def sizes(count: int, size: int | None) -> list[int]:
    """Bytes of so many feeds: all of one ``size``, or spread as the corpus's."""
    if size is not None:
        return [size] * count
    sigma = math.log(P90 / MEDIAN) / _P90_SIGMAS
    rng = random.Random(1)
    drawn = (int(rng.lognormvariate(math.log(MEDIAN), sigma)) for _ in range(count))
    return [min(max(bytes_, 1_000), LARGEST) for bytes_ in drawn]


def items_of(size: int) -> int:
    """How many items a feed of this size has: 9 at 5 KB, 20 at 50 KB, 44 at 500 KB."""
    return max(4, round(20 * (size / 50_000) ** 0.35))


def prose() -> str:
    """Paragraphs of made-up words, some of which are frequent, as HTML in XML."""
    rng = random.Random(2)
    letters = "eeeeaaaiiooutnsrlcdmp"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(3000)]
    frequent = [1 / (rank + 3) for rank in range(len(words))]
    drawn = rng.choices(words, frequent, k=_TEXT // 6)
    parts = []
    for start in range(0, len(drawn), 60):
        link = f"&lt;a href=&quot;/{drawn[start]}&quot;&gt;{drawn[start + 1]}&lt;/a&gt;"
        parts.append(f"&lt;p&gt;{' '.join(drawn[start : start + 60])} {link}&lt;/p&gt;\n")
    return "".join(parts)


@dataclass(slots=True)
class Feed:
    """One feed and what is served of it. Items are numbered from 1; ``last`` is the newest."""

    number: int
    items: int
    item_bytes: int
    last: int
    dated: int = 0
    body: bytes = b""
    size: int = 0

    @property
    def etag(self) -> bytes:
        """Changes with every version of the body."""
        return b'"%d-%d-%d"' % (self.number, self.last, self.dated)

    def make(self, text: str) -> None:
        """Writes and compresses the body of this version."""
        name = f"https://example.org/{self.number}"
        parts = [
            "<?xml version='1.0' encoding='utf-8'?>\n<rss version='2.0'><channel>"
            f"<title>Feed {self.number}</title><link>{name}</link><description>Made</description>"
            f"<generator>benchmark</generator><lastBuildDate>{self.dated}</lastBuildDate>\n"
        ]
        for item in range(self.last, self.last - self.items, -1):
            # From the beginning of a paragraph, so never in the middle of an entity.
            start = (self.number * 7919 + item * 104_729) % (len(text) - self.item_bytes - 5_000)
            start = text.index("&lt;p&gt;", start)
            parts.append(
                f"<item><title>Post {item} of feed {self.number}</title>"
                f"<link>{name}/{item}</link>"
                f"<guid isPermaLink='false'>made-{self.number}-{item}</guid>"
                f"<category>news</category><pubDate>Thu, 01 Jan 2026 "
                f"{item // 3600 % 24:02}:{item // 60 % 60:02}:{item % 60:02} GMT</pubDate>"
                f"<description>{whole(text[start : start + self.item_bytes])}</description>"
                "</item>\n"
            )
        parts.append("</channel></rss>\n")
        raw = "".join(parts).encode()
        self.size = len(raw)
        self.body = gzip.compress(raw, 6, mtime=0)


def whole(text: str) -> str:
    """Text without the entity that a cut left half of at its end."""
    at = text.rfind("&", -8)
    return text if at < 0 or ";" in text[at:] else text[:at]


def feed(number: int, size: int) -> Feed:
    """A feed of about ``size`` bytes, not made yet."""
    items = items_of(size)
    return Feed(
        number=number,
        items=items,
        item_bytes=max(40, (size - _HEAD) // items - _ITEM_HEAD),
        last=items,
    )
