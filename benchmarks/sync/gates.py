"""What the gates before the parser cost and save, and that they change nothing.

    python benchmarks/sync/gates.py cost            processor time by stage, for feeds made here
    python benchmarks/sync/gates.py equality DIR    new items alone against all, for real feeds

The second reads every file of a folder, as somebody who has some feeds at hand may have one, and
ends with an error if anything that is kept of any of them differs.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from heraldo_sync import gate
from heraldo_sync.documents import read_document
from heraldo_sync.model import ParsedFeed
from heraldo_sync.order import oldest_first
from heraldo_sync.parse import Parser
from heraldo_sync.reading import body_hash

URL = "https://example.org/feed"
SEEDS = 10
WORDS = (
    "&lt;p&gt;Some words of a post with a &lt;a href=&quot;/x&quot;&gt;link&lt;/a&gt;.&lt;/p&gt;"
)


def made(items: int, size: int, last: int = 0) -> bytes:
    """A feed of so many items and bytes; a larger ``last`` has newer ones."""
    text = WORDS * max(1, (size // items - 250) // len(WORDS))
    parts = "".join(
        f"<item><title>Post {number}</title><link>https://example.org/{number}</link>"
        f"<guid isPermaLink='false'>post-{number}</guid><category>news</category>"
        f"<pubDate>Thu, 01 Jan 2026 00:00:{number % 60:02} GMT</pubDate>"
        f"<description>{text}</description></item>\n"
        for number in range(last + items, last, -1)
    )
    return (
        "<?xml version='1.0' encoding='utf-8'?><rss version='2.0'><channel><title>Feed</title>"
        f"<link>https://example.org/</link><lastBuildDate>{last}</lastBuildDate>{parts}"
        "</channel></rss>"
    ).encode()


def timed(work: Callable[[], object], times: int = 200) -> float:
    """Milliseconds of processor time for one call."""
    before = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - before) / times * 1000


async def through_a_child(body: bytes, content_type: str | None, times: int) -> tuple[float, float]:
    """Milliseconds of this process and of the child for one parse."""
    async with Parser(workers=1) as parser:
        await parser.parse(body, url=URL, content_type=content_type)
        before, before_child = time.process_time(), _children()
        for _ in range(times):
            await parser.parse(body, url=URL, content_type=content_type)
        parent, child = time.process_time() - before, _children() - before_child
    return parent / times * 1000, child / times * 1000


def _children() -> float:
    """Seconds that this process's living children have run."""
    return sum(
        int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) / 1e9
        for task in Path("/proc/self/task").iterdir()
        for child in (task / "children").read_text().split()
    )


async def cost() -> None:
    """Prints a table."""
    print("ms of processor time      here  child")
    for items, size in ((10, 5_000), (10, 50_000), (20, 50_000), (40, 500_000), (1000, 2_500_000)):
        old, new = made(items, size), made(items, size, last=1)
        whole = read_document(old, URL, None)
        first, second = (gate.outline(body, URL, None) for body in (old, new))
        assert isinstance(whole, ParsedFeed)
        assert first is not None
        assert second is not None
        known = gate.remember(first, whole)
        assert known is not None
        places = gate.unseen(second, known)
        assert places == [0]
        alone = second.only(places)
        times = max(5, 5_000_000 // size // 2)
        parsed = read_document(alone, URL, gate.TRIMMED_TYPE)
        assert isinstance(parsed, ParsedFeed)
        packed = gate.pack(known)
        print(f"{size // 1000} KB, {items} items ({len(packed)} bytes kept)")
        rows: dict[str, tuple[float, float]] = {
            "body hash": (timed(lambda body=new: body_hash(body), times), 0.0),
            "cut and hash the items": (
                timed(lambda body=new: gate.outline(body, URL, None), times),
                0.0,
            ),
            "compare with the last": (
                timed(lambda d=second, p=packed: gate.unseen(d, gate.unpack(p)), times),
                0.0,
            ),
            "parse one item": await through_a_child(alone, gate.TRIMMED_TYPE, times),
            "join and pack": (
                timed(
                    lambda d=second, k=known, p=parsed: gate.pack(gate.joined(d, k, [0], p)[1]),
                    times,
                ),
                0.0,
            ),
            "parse all": await through_a_child(new, None, times),
        }
        for name, (parent, child) in rows.items():
            print(f"  {name:<23}{parent:6.2f} {child:6.2f}")


def equality(folder: Path) -> Counter[str]:
    """Compares, for random parts of each feed, what is kept of them."""
    counts = Counter[str]()
    for path in sorted(folder.iterdir()):
        body = path.read_bytes()
        whole = read_document(body, URL, None)
        if not isinstance(whole, ParsedFeed) or not whole.entries:
            counts["no feed, or empty"] += 1
            continue
        document = gate.outline(body, URL, None)
        known = gate.remember(document, whole) if document else None
        if document is None or known is None:
            counts["always read as a whole"] += 1
            continue
        counts["read in parts"] += 1
        for seed in range(SEEDS):
            counts[compare(document, known, whole, random.Random(seed))] += 1
    return counts


def compare(document: gate.Outline, known: gate.Seen, whole: ParsedFeed, rng: random.Random) -> str:
    """Reads a feed of which a random part is known."""
    size = len(known.items)
    kept = rng.sample(list(known.items), rng.choice([0, size - 1, size // 2, rng.randint(0, size)]))
    part = replace(known, items={item: known.items[item] for item in kept})
    places = gate.unseen(document, part) or []
    parsed = read_document(document.only(places), URL, gate.TRIMMED_TYPE)
    found = gate.joined(document, part, places, parsed) if isinstance(parsed, ParsedFeed) else None
    if found is None:
        return "parts: read as a whole after all"
    fresh = {id(whole.entries[place]) for place in places}
    wanted = [one for one in oldest_first(whole.entries) if id(one) in fresh]
    same = list(found[0]) == wanted and found[1] == known
    return "parts: equal" if same else "parts: DIFFERENT"


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["cost", "equality"])
    parser.add_argument("folder", nargs="?", type=Path)
    arguments = parser.parse_args()
    if arguments.what == "cost":
        asyncio.run(cost())
        return
    counts = equality(arguments.folder)
    for name, count in counts.items():
        print(f"{count:6} {name}")
    sys.exit(1 if counts["parts: DIFFERENT"] else 0)


if __name__ == "__main__":
    main()
