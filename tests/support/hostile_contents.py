"""XML that lies about its encoding, points elsewhere, or says what nobody should believe."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

from hostile_case import Most, Refused, Stored
from hostile_xml import MEGABYTE, NO_FEED, all_of, feed, item, says, without, xml

from heraldo_sync.model import Reason


def outside(entity: str) -> Callable[[], bytes]:
    return lambda: feed(
        item("<description>&x;</description>"), prolog=f"<!DOCTYPE rss [<!ENTITY x {entity}>]>"
    )


def utf_16(mark: bytes, tail: bytes = b"") -> Callable[[], bytes]:
    return lambda: mark + feed(item()).decode().encode("utf-16-le") + tail


def noise() -> bytes:
    return random.Random(1).randbytes(MEGABYTE)


OUTSIDE = (
    xml(
        "an entity that is a file",
        outside("SYSTEM 'file:///etc/passwd'"),
        Stored(1, without("root:")),
    ),
    xml(
        "an entity that is a private page", outside("SYSTEM 'http://127.0.0.1:{trap}/'"), Stored(1)
    ),
    xml(
        "a DTD on a private page",
        lambda: feed(item(), prolog="<!DOCTYPE rss SYSTEM 'http://127.0.0.1:{trap}/x.dtd'>"),
        Stored(1),
    ),
    xml(
        "a file by XInclude",
        lambda: feed(
            item(
                "<description><x:include xmlns:x='http://www.w3.org/2001/XInclude'"
                " parse='text' href='/etc/passwd'/></description>"
            )
        ),
        Stored(1, without("root:")),
    ),
    xml(
        "a style sheet on a private page",
        lambda: feed(item(), prolog="<?xml-stylesheet href='http://127.0.0.1:{trap}/x.xsl'?>"),
        Stored(1),
    ),
)

ENCODINGS = (
    xml("UTF-16 without its mark", utf_16(b""), Stored(1, says("Title"))),
    xml(
        "UTF-16 with half a character at its end",
        utf_16(b"\xff\xfe", b"\x00"),
        Stored(1, says("Title")),
    ),
    xml(
        "UTF-8 that calls itself UTF-16",
        lambda: feed(item(), prolog="<?xml version='1.0' encoding='utf-16'?>"),
        Stored(1, says("Title")),
    ),
    xml("UTF-8 behind the mark of UTF-16", lambda: b"\xff\xfe" + feed(item()), NO_FEED),
    xml("UTF-32", lambda: feed(item()).decode().encode("utf-32"), Stored(1, says("Title"))),
    xml(
        "UTF-7 that hides a tag",
        lambda: feed(
            item("<description>+ADw-script+AD4-alert(1)</description>"),
            prolog="<?xml version='1.0' encoding='utf-7'?>",
        ),
        Stored(1),
    ),
    xml(
        "overlong UTF-8",
        lambda: feed(item("<description>X</description>")).replace(b"X", b"\xc0\xbcscript\xc0\xbe"),
        Stored(1, without("<script")),
    ),
    xml(
        "surrogates in UTF-8",
        lambda: feed("<item><guid>1</guid><title>a\ud800b</title></item>"),
        Stored(1, without("\ud800")),
    ),
    xml(
        "an encoding that nobody knows",
        lambda: feed(item(), prolog="<?xml version='1.0' encoding='no-such'?>"),
        Stored(1, says("Title")),
    ),
    xml(
        "an encoding of 1 MB",
        lambda: feed(item(), prolog=f"<?xml version='1.0' encoding='{'x' * MEGABYTE}'?>"),
        NO_FEED,
    ),
    xml(
        "a codec that is no encoding",
        lambda: feed(item("é"), prolog="<?xml version='1.0' encoding='zlib_codec'?>"),
        Stored(1),
    ),
    xml(
        "1 MB of Punycode",
        lambda: feed(
            item("\x80" + "a" * MEGABYTE), prolog="<?xml version='1.0' encoding='punycode'?>"
        ),
        Stored(1),
        Most(child_cpu=4),
    ),
    xml(
        "a charset of HTTP that is none",
        lambda: feed(item("é")),
        Stored(1, says("Title")),
        kind='text/xml; charset="\x01"',
    ),
    xml(
        "NULs between the letters",
        lambda: feed(item()).replace(b"Title", b"T\0i\0t\0l\0e"),
        Stored(1, without("\0")),
    ),
    xml(
        "NULs as references",
        lambda: feed("<item><guid>1</guid><title>a&#0;b&#x0;c</title></item>"),
        Stored(1, without("\0")),
    ),
    xml(
        "references to no character",
        lambda: feed("<item><guid>1</guid><title>a&#xD800;&#99999999;b</title></item>"),
        Stored(1),
    ),
    xml("5 MB of NULs", lambda: bytes(4_900_000), NO_FEED),
    xml(
        "5 MB of white space",
        lambda: b" " * 4_900_000,
        Refused(Reason.NOT_A_FEED, "There is nothing"),
    ),
    xml("1 MB of noise", noise, NO_FEED),
)

DATES = (
    "Mon, 01 Jan 0000 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Mon, 30 Feb 2026 00:00:00 GMT",
    "9" * 4_000,
    "-1",
    "1e999",
    "2026-01-01T99:99:99Z",
    "Mon, 01 Jan 99999 00:00 GMT",
    "\u0662\u0660\u0662\u0666-01-01",
    "Mon, 01 Jan 2026 00:00:00 +999999999999",
    "0x7fffffff",
    "Seg, 24 Set 9999 19:42:40 -9999",
)
EARLIEST, LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

CONTENTS = (
    xml(
        "dates that no post can have",
        lambda: feed(
            "".join(item(f"<pubDate>{date}</pubDate>", str(n)) for n, date in enumerate(DATES))
        ),
        Stored(
            len(DATES),
            all_of(
                lambda row: row["published_at"] is None or EARLIEST <= row["published_at"] < LATEST
            ),
        ),
    ),
    xml(
        "a link that is a script",
        lambda: feed(item("<link>javascript:alert(1)</link>")),
        Stored(1, all_of(lambda row: row["link"] is None)),
    ),
    xml(
        "a link that is a script with a line feed",
        lambda: feed(item("<link>java\nscript:alert(1)</link>")),
        Stored(1, all_of(lambda row: not (row["link"] or "").startswith("java"))),
    ),
    xml(
        "a link that is data",
        lambda: feed(item("<link>data:text/html,x</link>")),
        Stored(1, all_of(lambda row: row["link"] is None)),
    ),
    xml(
        "a link with a line feed and a header",
        lambda: feed(item("<link>http://example.org/&#13;&#10;X: y</link>")),
        Stored(1, all_of(lambda row: not set(row["link"] or "") & set("\r\n "))),
    ),
    xml(
        "a link with a password",
        lambda: feed(item("<link>http://me:hunter2@example.org/</link>")),
        Stored(1),
    ),
    xml(
        "a link of 100 KB",
        lambda: feed(item(f"<link>http://example.org/{'x' * 100_000}</link>")),
        Stored(1, all_of(lambda row: row["link"] is None)),
    ),
    xml(
        "a base that is a script",
        lambda: feed(item("<link>x</link>"), prolog="<?xml version='1.0'?>").replace(
            b"<rss ", b"<rss xml:base='javascript:alert(1)//' "
        ),
        Stored(1, all_of(lambda row: not (row["link"] or "").startswith("java"))),
    ),
    xml(
        "a title that turns the text around",
        lambda: feed(
            "<item><guid>1</guid><title>\u202egnp.exe\u2066\u200b\u0007\ufeff</title></item>"
        ),
        Stored(1),
    ),
    xml(
        "a feed in a feed's text",
        lambda: feed(
            item(f"<description><![CDATA[{feed(item(guid='2')).decode()}]]></description>")
        ),
        Stored(1),
    ),
    xml("a feed in a feed's item", lambda: feed(item(feed(item(guid="2")).decode())), Stored(2)),
    xml("1,000 feeds in one document", lambda: feed(item()) * 1_000, Stored(1), Most(child_cpu=4)),
    xml(
        "items within items",
        lambda: feed("<item><guid>1</guid>" * 900 + "</item>" * 900),
        Stored(1),
    ),
)

CASES = (*OUTSIDE, *ENCODINGS, *CONTENTS)
