"""XML that grows, nests, floods and never ends."""

from collections.abc import Callable, Sequence

from hostile_case import Case, Most, Offered, Refused, Row, Stored, page

from heraldo_sync.model import Reason

MEGABYTE = 1_000_000
TOO_SLOW = Refused(Reason.PARSE_TIMEOUT, "reading it takes too long")
TOO_LARGE = Refused(Reason.TOO_LARGE, "larger than 5 MB")
TEXT = f"<description>{'word ' * 60}</description>"
NO_FEED = Refused(Reason.NOT_A_FEED, "is not a feed")


def feed(items: str, head: str = "", prolog: str = "") -> bytes:
    """An RSS document."""
    return (
        f"{prolog}<rss version='2.0'><channel><title>T</title>{head}{items}</channel></rss>"
    ).encode("utf-8", "surrogatepass")


def item(inside: str = "", guid: str = "1") -> str:
    """An item with a guid and a title."""
    return f"<item><guid isPermaLink='false'>{guid}</guid><title>Title</title>{inside}</item>"


def xml(
    name: str,
    make: Callable[[], bytes],
    expect: Refused | Stored | Offered,
    most: Most | None = None,
    kind: str = "application/rss+xml",
) -> Case:
    """A document of this name."""
    return Case(name=name, expect=expect, talk=page(make, kind), most=most or Most())


def all_of(test: Callable[[Row], object]) -> Callable[[Sequence[Row]], bool]:
    """That something is so of every entry."""
    return lambda rows: all(test(row) for row in rows)


def says(text: str) -> Callable[[Sequence[Row]], bool]:
    """That every title is this."""
    return all_of(lambda row: row["title"] == text)


def without(*words: str) -> Callable[[Sequence[Row]], bool]:
    """That no entry's title or text holds one of these words."""
    return all_of(lambda row: not any(word in row["title"] + row["html"] for word in words))


def laughs() -> bytes:
    lines = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    doctype = f"<?xml version='1.0'?><!DOCTYPE rss [<!ENTITY l0 'lol'>{lines}]>"
    return feed(item("<description>&l9;</description>"), prolog=doctype)


def quadratic() -> bytes:
    doctype = f"<!DOCTYPE rss [<!ENTITY a '{'a' * 100_000}'>]>"
    return feed(item(f"<description>{'&a;' * 100_000}</description>"), prolog=doctype)


def parameters() -> bytes:
    doctype = "<!DOCTYPE rss [<!ENTITY % a '&#37;b;&#37;b;'><!ENTITY % b '&#37;a;'>%a;]>"
    return feed(item(), prolog=doctype)


def nested(count: int, broken: str = "") -> Callable[[], bytes]:
    return lambda: feed(item(f"{broken}{'<b>' * count}x{'</b>' * count}"))


def attributes(count: int, broken: str = "") -> Callable[[], bytes]:
    def make() -> bytes:
        inside = " ".join(f"a{n}='1'" for n in range(count))
        return feed(item(f"{broken}<b {inside}/>"))

    return make


def spaces(count: int) -> str:
    """A tag that declares so many name spaces."""
    inside = " ".join(f"xmlns:n{n}='http://example.org/{n}'" for n in range(count))
    return f"<b {inside}/>"


def accents() -> bytes:
    return feed("<item><guid>1</guid><title>a" + "\u0301" * 100_000 + "</title></item>")


SIZES = (
    xml("billion laughs", laughs, Stored(1, without("lollol"))),
    xml("one long entity 100,000 times", quadratic, NO_FEED),
    xml("parameter entities in a circle", parameters, Stored(1)),
    xml("1,000,000 nested elements", nested(MEGABYTE // 5), TOO_SLOW),
    xml(
        "200,000 nested elements in a broken document",
        nested(200_000, "&"),
        TOO_SLOW,
        Most(child_cpu=5),
    ),
    xml("a tag of 80,000 attributes", attributes(80_000), TOO_SLOW),
    xml(
        "a tag of 80,000 attributes in a broken document",
        attributes(80_000, "&"),
        Stored(1),
        Most(child_cpu=5),
    ),
    xml("an attribute of 4 MB", lambda: feed(item(f"<b a='{'x' * 4_000_000}'/>")), Stored(1)),
    xml("a name of 4 MB", lambda: feed(item(f"<{'x' * 4_000_000}/>")), Stored(1)),
    xml(
        "50,000 name spaces on a tag",
        lambda: feed(item(spaces(50_000))),
        Stored(1),
        Most(child_cpu=8),
    ),
    xml(
        "a name space anew in each of 1,000 items",
        lambda: feed("".join(item(spaces(50), str(n)) for n in range(1_000))),
        Stored(1_000),
        Most(child_cpu=8),
    ),
    xml("an author of 40 KB", lambda: feed(item(f"<author>{'a' * 40_000}</author>")), TOO_SLOW),
    xml(
        "an item of 50 MB",
        lambda: feed(item(f"<description>{'x' * 50 * MEGABYTE}</description>")),
        TOO_LARGE,
    ),
    xml(
        "an item of 4.9 MB",
        lambda: feed(item(f"<description>{'word ' * 980_000}</description>")),
        Stored(1, all_of(lambda row: len(row["html"]) <= 200_000)),
        Most(child_mb=300),
    ),
    xml("10 MB of tiny items", lambda: feed("<item/>" * 1_430_000), TOO_LARGE),
    xml("4.9 MB of tiny items", lambda: feed("<item/>" * 700_000), TOO_SLOW, Most(child_cpu=3)),
    xml(
        "10,000 items of one guid",
        lambda: feed(
            "".join(f"<item><guid>1</guid><title>{n}</title>{TEXT}</item>" for n in range(10_000))
        ),
        Stored(1_000),
        Most(parent_cpu=3, child_cpu=4),
    ),
    xml(
        "10,000 items alike in everything",
        lambda: feed(item(TEXT) * 10_000),
        Stored(1),
        Most(parent_cpu=3, child_cpu=4),
    ),
    xml(
        "100,000 enclosures",
        lambda: feed(item("<enclosure url='http://example.org/a.mp3' length='1'/>" * 60_000)),
        Stored(1),
        Most(child_cpu=9, child_mb=400),
    ),
    xml(
        "100,000 categories",
        lambda: feed(item("<category>c</category>" * 100_000)),
        Stored(1),
        Most(child_cpu=6),
    ),
    xml("a guid of 4 MB", lambda: feed(item(guid="g" * 4_000_000)), Stored(1), Most(child_mb=300)),
    xml(
        "a title of 4 MB",
        lambda: feed(f"<item><guid>1</guid><title>{'t' * 4_000_000}</title></item>"),
        Stored(1, all_of(lambda row: len(row["title"]) == 1_000)),
        Most(child_mb=300),
    ),
    xml("20 KB of ampersands", lambda: feed(item("&" * 20_000)), Stored(1)),
    xml(
        "1 MB of references to characters",
        lambda: feed(item("&#x41;" * 160_000)),
        Stored(1),
        Most(child_cpu=4),
    ),
    xml("20 KB of less-than signs", lambda: feed(item("<" * 20_000)), Stored(1)),
    xml("1 MB of ends of CDATA", lambda: feed(item("]]>" * 330_000)), Stored(1), Most(child_cpu=4)),
    xml(
        "CDATA that is never closed",
        lambda: feed(item("<![CDATA[" + "x" * MEGABYTE)),
        Stored(1),
        Most(child_cpu=4),
    ),
    xml(
        "100,000 CDATAs that are never closed",
        lambda: feed(item("<![CDATA[" * 100_000)),
        Stored(1),
        Most(child_cpu=4),
    ),
    xml(
        "a comment that is never closed",
        lambda: feed(item(), head="<!--" + "x" * MEGABYTE),
        Stored(0),
        Most(child_cpu=4),
    ),
    xml(
        "100,000 comments that are never closed",
        lambda: feed(item("<!--" * 100_000)),
        Stored(1),
        Most(child_cpu=4),
    ),
    xml(
        "100,000 comments between items",
        lambda: feed(item() + "<!-- -->" * 100_000 + item(guid="2")),
        Stored(2),
    ),
    xml(
        "100,000 DOCTYPEs",
        lambda: feed(item(), prolog="<!DOCTYPE rss>" * 100_000),
        NO_FEED,
        Most(child_cpu=4),
    ),
    xml(
        "100,000 DOCTYPEs that are never closed",
        lambda: feed(item(), prolog="<!DOCTYPE rss [" * 100_000),
        NO_FEED,
        Most(child_cpu=4),
    ),
    xml(
        "100,000 entities",
        lambda: feed(item(), prolog="<!DOCTYPE r [" + "<!ENTITY a 'b'>" * 100_000 + "]>"),
        NO_FEED,
        Most(child_cpu=4),
    ),
    xml("100,000 instructions", lambda: feed("<?a b?>" * 100_000 + item()), Stored(1)),
    xml(
        "markup of 1 MB of nested divs in a description",
        lambda: feed(item(f"<description>{'&lt;div>' * 125_000}</description>")),
        Stored(1),
        Most(child_cpu=4),
    ),
    xml("a title of 100,000 accents", accents, Stored(1)),
)

CASES = SIZES
