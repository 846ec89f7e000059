"""A publisher that does what publishers do to their feeds, with a record of what is which post.

Every edit it makes is one that `heraldo_sync.identity` promises to see through.
"""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

from heraldo_sync.model import ParsedEntry

START = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
HOME = "https://site.example/"
# guid and link of one's own · link of one's own · a guid that all have · one link for all, which
# is not the feed's page · the feed's page as every link · nothing but a title · all alike but
# for the date
KINDS = ("guid", "link", "same guid", "same link", "home", "bare", "alike")
EDITABLE = {
    "guid": ("title", "html", "date", "link", "all"),
    "link": ("title", "html", "date", "all"),
    "same guid": ("title", "html", "date", "link"),
    "same link": ("title", "html", "date"),
    "home": ("title", "html", "date"),
    "bare": ("date",),
    "alike": (),
}


class Publisher:
    """``posts`` are all there ever were, ``shown`` the numbers of those in the document."""

    def __init__(self, rng: random.Random, kinds: tuple[str, ...] = KINDS) -> None:
        self.rng = rng
        self.kinds = kinds
        self.posts: list[ParsedEntry] = []
        self.kind: list[str] = []
        self.shown: list[int] = []
        self._values = 0

    def publish(self) -> None:
        """Adds a post to the top of the document."""
        number, kind = len(self.posts), self.rng.choice(self.kinds)
        own = f"https://site.example/{number}"
        post = ParsedEntry(
            title=f"Post {number}", html=f"<p>{number}</p>", published_at=self._date()
        )
        match kind:
            case "guid":
                post = replace(post, guid=f"g{number}", link=self.rng.choice([own, HOME, None]))
            case "link":
                post = replace(post, link=own)
            case "same guid":
                post = replace(post, guid="same", link=self.rng.choice([own, own + "/x"]))
            case "same link":
                post = replace(post, link="https://site.example/show")
            case "home":
                post = replace(post, link=HOME)
            case "alike":
                post = replace(post, guid="alike", link=own, title="Daily report", html="")
                post = replace(post, link="https://site.example/daily")
            case _:
                pass
        self.posts.append(post)
        self.kind.append(kind)
        self._show_the_others(kind)
        self.shown.insert(0, number)

    def edit(self) -> None:
        """Changes one thing of a post that is shown, or all if it has a key of its own."""
        if not self.shown:
            return
        number = self.rng.choice(self.shown)
        what = EDITABLE[self.kind[number]]
        if not what:
            return
        change: dict[str, Any]
        match self.rng.choice(what):
            case "title":
                change = {"title": self._text()}
            case "html":
                change = {"html": self._text()}
            case "date":
                change = {"published_at": self._date()}
            case "link":
                change = {"link": f"https://site.example/{self._text()}"}
            case _:
                change = {"title": self._text(), "html": "", "published_at": None}
        self.posts[number] = replace(self.posts[number], **change)

    def rearrange(self) -> None:
        """Reorders, truncates, empties, or shows old posts again; a post may be there twice."""
        match self.rng.randrange(5):
            case 0:
                self.rng.shuffle(self.shown)
            case 1:
                del self.shown[self.rng.randrange(len(self.shown) + 1) :]
            case 2:
                self.shown.clear()
            case 3:
                again = self.rng.sample(range(len(self.posts)), min(3, len(self.posts)))
                self.shown += again
            case _:
                self.shown += self.shown[:1]

    def document(self) -> list[ParsedEntry]:
        """What the feed shows now."""
        return [self.posts[number] for number in self.shown]

    def rss(self) -> bytes:
        """The document as bytes."""
        items = "".join(_item(post) for post in self.document())
        head = f"<title>T</title><link>{HOME}</link>"
        return f"<rss version='2.0'><channel>{head}{items}</channel></rss>".encode()

    def _show_the_others(self, kind: str) -> None:
        """A key starts to be shared where all can see it; later it is remembered to be."""
        having = [n for n, other in enumerate(self.kind[:-1]) if other == kind]
        if len(having) == 1 and having[0] not in self.shown:
            self.shown.append(having[0])

    def _text(self) -> str:
        self._values += 1
        return f"value {self._values}"

    def _date(self) -> datetime:
        self._values += 1
        return START + timedelta(minutes=self._values)


def _item(post: ParsedEntry) -> str:
    date = post.published_at
    fields = {
        "guid isPermaLink='false'": post.guid,
        "link": post.link,
        "title": post.title,
        "description": post.html,
        "pubDate": format_datetime(date) if date else None,
    }
    inside = "".join(
        f"<{name}>{escape(value)}</{name.split()[0]}>" for name, value in fields.items() if value
    )
    return f"<item>{inside}</item>"
