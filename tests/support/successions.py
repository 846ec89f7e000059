"""One feed again and again as Hypothesis has it change: what a server might show in a year.

A document is made of posts, given as small numbers that stand for what they hold, so that they
collide often: the same guid twice, an old post again, an edit that is undone.
"""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

ATOM = "http://www.w3.org/2005/Atom"
# What a post may have inside; most of it is there to fool whoever cuts a document into items.
EXTRAS = (
    "",
    "",
    "<description>Plain &lt;b&gt;text&lt;/b&gt;</description>",
    "<description><![CDATA[</item><item><guid>1</guid></item></entry>]]></description>",
    "<!-- </item><item> </entry><entry> -->",
    "<description>&lt;item&gt;&lt;/item&gt; ]]&gt; é</description>",
    "<content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'>é <b>b</b></div></content>",
    "<description>One</description><content:encoded"
    " xmlns:content='http://purl.org/rss/1.0/modules/content/'>Two</content:encoded>",
    "<link xml:base='http://base.example/a/' href='x'/><link>relative</link>",
    "<summary xml:base='http://base.example/' type='html'>&lt;a href='r'>r&lt;/a></summary>",
    "<dc:creator xmlns:dc='http://purl.org/dc/elements/1.1/'>Ana</dc:creator>",
    "<media:content xmlns:media='http://search.yahoo.com/mrss/' url='http://e.org/f' type='a/b'/>",
    "<author>Ana</author><category>news</category>",
    "<author><name>Ana</name></author>",
    "<enclosure url='/file.mp3' length='9' type='audio/mpeg'/>",
    "<source url='http://e.org/'>Elsewhere</source>",
    "<svg xmlns='http://www.w3.org/2000/svg'><title>t</title></svg>",
    "<updated>2026-01-01T00:00:00Z</updated>",
    "<?pi <item> ?>",
)
# What breaks a rule of XML or of feeds, or has a say in how other posts are read.
ODD = (
    "<item><title>Inner</title></item>",
    "<b>",
    " & ",
    "<ITEM><guid>i</guid></ITEM>",
    "<entry/>",
    "<dc:creator xmlns:dc='http://search.yahoo.com/mrss/'>Ana</dc:creator>",
    "<x:y xmlns:x='http://unknown.example/'>z</x:y>",
)
HEADS = (
    "",
    "",
    "<link>http://site.example/</link><description><![CDATA[<item>]]></description>",
    "<author><name>The feed's</name></author>",
    "<managingEditor>The editor</managingEditor>",
    "<itunes:summary xmlns:itunes='http://www.itunes.com/DTDs/PodCast-1.0.dtd'>s</itunes:summary>",
    "<ttl>60</ttl><language>es</language>",
    "<image><title>i</title><url>http://e.org/i.png</url></image>",
)
ROOTS = (
    ("<rss version='2.0'><channel>", "</channel></rss>", "item"),
    (
        "<rss version='2.0' xmlns:dc='http://purl.org/dc/elements/1.1/'"
        " xml:base='http://root.example/'><channel>",
        "</channel></rss>",
        "item",
    ),
    (f"<feed xmlns='{ATOM}'>", "</feed>", "entry"),
    (f"<a:feed xmlns:a='{ATOM}' xml:lang='es'>", "</a:feed>", "a:entry"),
    (
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'"
        " xmlns='http://purl.org/rss/1.0/'><channel/>",
        "</rdf:RDF>",
        "item",
    ),
)
PROLOGS = (
    ("", "utf-8"),
    ("<?xml version='1.0' encoding='utf-8'?>\n", "utf-8"),
    ("<?xml version='1.0' encoding='iso-8859-1'?>\n", "iso-8859-1"),
    ("<?xml version='1.0' encoding='iso-8859-1'?>", "utf-8"),
    ("\ufeff", "utf-8"),
    ("<?xml version='1.0' encoding='utf-16'?>", "utf-16"),
    ("<!DOCTYPE rss [<!ENTITY e 'x'>]>", "utf-8"),
)
GAPS = ("", "\n", "\n", "\n<!-- <item> -->\n", "<title>Between</title>", "text")
CHANGES = ("new", "new", "new", "insert", "edit", "cut", "shuffle", "again", "twice", "frame")
FRAME = ("prolog", "root", "title", "head", "tail", "gap")
TIMES = ("Thu, 01 Jan 2026 00:00:0{} GMT", "2026-01-02T00:00:0{}Z", "no date")


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A post: without a guid at 0, without a link at 0, without a date at 0."""

    guid: int
    link: int
    title: int
    date: int
    extra: str

    def markup(self, tag: str) -> str:
        """The post as an item of a document."""
        name = "id" if tag.endswith("entry") else "guid"
        parts = [
            f"<{name}>g{self.guid}</{name}>" if self.guid else "",
            f"<link>http://e.org/{self.link}</link>" if self.link else "",
            f"<title>T{self.title} é</title>",
            f"<pubDate>{TIMES[self.date % 3].format(self.date)}</pubDate>" if self.date else "",
            self.extra,
        ]
        return f"<{tag}>{''.join(parts)}</{tag}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One state of a feed."""

    posts: tuple[Post, ...]
    prolog: int = 1
    root: int = 0
    title: int = 0
    head: str = ""
    tail: str = ""
    built: int = 0
    gap: str = "\n"

    def body(self) -> bytes:
        """The document."""
        prolog, encoding = PROLOGS[self.prolog]
        start, end, tag = ROOTS[self.root]
        items = self.gap.join(post.markup(tag) for post in self.posts)
        text = (
            f"{prolog}{start}<title>Feed {self.title}</title>{self.head}"
            f"<lastBuildDate>{self.built}</lastBuildDate>\n{items}\n{self.tail}{end}"
        )
        return text.encode(encoding, "replace")


numbers = st.integers(0, 4)
extras = st.sampled_from(EXTRAS)
many, few = st.integers(10, 10_000), st.integers(0, 9)
calm_posts = st.builds(Post, guid=many, link=numbers, title=numbers, date=numbers, extra=extras)
wild_posts = st.builds(
    Post,
    guid=st.one_of(many, few),
    link=numbers,
    title=numbers,
    date=numbers,
    extra=st.one_of(extras, extras, extras, st.sampled_from(ODD)),
)
Posts = st.SearchStrategy[Post]


@st.composite
def successions(draw: st.DrawFn) -> list[bytes]:
    """The documents a feed shows, one after another; two of three feeds are well made."""
    posts = draw(st.sampled_from((calm_posts, calm_posts, wild_posts)))
    shown = Shown(
        posts=tuple(draw(st.lists(posts, min_size=1, max_size=5))),
        root=draw(st.sampled_from(range(len(ROOTS)))),
        head=draw(st.sampled_from(HEADS)),
    )
    gone: list[Post] = []
    bodies = [shown.body()]
    for _ in range(draw(st.integers(1, 5))):
        gone += shown.posts
        shown = _changed(draw, replace(shown, built=shown.built + 1), gone, posts)
        bodies.append(shown.body())
    return bodies


def _changed(draw: st.DrawFn, shown: Shown, gone: list[Post], posts: Posts) -> Shown:
    left = list(shown.posts)
    # Most feeds change by new posts in front, so most of ours do.
    change = draw(st.sampled_from(CHANGES))
    place = draw(st.integers(0, len(left)))
    match change:
        case "new" | "insert":
            fresh = draw(st.lists(posts, min_size=1, max_size=2))
            at = 0 if change == "new" else place
            left[at:at] = fresh
        case "edit" if left:
            left[place % len(left)] = _edited(draw, left[place % len(left)])
        case "cut":
            del left[place:]
        case "shuffle":
            left = draw(st.permutations(left))
        case "again":
            left.insert(place, draw(st.sampled_from(gone)))
        case "twice" if left:
            left.insert(place, left[place % len(left)])
        case _:
            return _reframed(draw, shown)
    return replace(shown, posts=tuple(left))


def _edited(draw: st.DrawFn, post: Post) -> Post:
    match draw(st.sampled_from(("guid", "link", "title", "date", "extra"))):
        case "guid":
            return replace(post, guid=draw(st.one_of(many, few)))
        case "link":
            return replace(post, link=draw(numbers))
        case "title":
            return replace(post, title=draw(numbers))
        case "date":
            return replace(post, date=draw(numbers))
        case _:
            return replace(post, extra=draw(extras))


def _reframed(draw: st.DrawFn, shown: Shown) -> Shown:
    match draw(st.sampled_from(FRAME)):
        case "prolog":
            return replace(shown, prolog=draw(st.sampled_from(range(len(PROLOGS)))))
        case "root":
            return replace(shown, root=draw(st.sampled_from(range(len(ROOTS)))))
        case "title":
            return replace(shown, title=draw(numbers))
        case "head":
            return replace(shown, head=draw(st.sampled_from(HEADS)))
        case "tail":
            return replace(shown, tail=draw(st.sampled_from(HEADS)))
        case _:
            return replace(shown, gap=draw(st.sampled_from(GAPS)))
