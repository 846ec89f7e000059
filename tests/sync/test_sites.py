"""What well-known sites document about their feeds; pages made up by us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldo_sync.discover import common_places
from heraldo_sync.errors import InvalidUrl
from heraldo_sync.sites import feeds_in, feeds_of, is_known
from heraldo_sync.urls import normalise

CHANNEL = "abcdefghijklmnopqrst_-"
YOUTUBE = "https://www.youtube.com/feeds/videos.xml?"
CHANNEL_FEEDS = [
    f"{YOUTUBE}channel_id=UC{CHANNEL}",
    f"{YOUTUBE}playlist_id=UULF{CHANNEL}",
    f"{YOUTUBE}playlist_id=UUSH{CHANNEL}",
    f"{YOUTUBE}playlist_id=UULV{CHANNEL}",
]
REPOSITORY = [f"https://github.com/o/r/{name}.atom" for name in ("releases", "commits", "tags")]
PROJECT = [
    f"https://gitlab.com/g/s/p{end}" for end in ("/-/releases.atom", "/-/tags?format=atom", ".atom")
]
REDDIT = "https://www.reddit.com"


def links(page: str, rsshub: str | None = None) -> list[str]:
    return [link.url for link in feeds_of(normalise(page), rsshub)]


@pytest.mark.parametrize(
    ("page", "feeds"),
    [
        (f"https://www.youtube.com/channel/UC{CHANNEL}", CHANNEL_FEEDS),
        (f"m.youtube.com/channel/UC{CHANNEL}/videos?view=0", CHANNEL_FEEDS),
        ("https://youtube.com/playlist?si=x&list=PL_12-3", [f"{YOUTUBE}playlist_id=PL_12-3"]),
        ("https://github.com/o/r", REPOSITORY),
        ("https://github.com/o/r.git", REPOSITORY),
        ("https://github.com/o/r/issues/5?q=1", REPOSITORY),
        ("https://github.com/o/r/releases/tag/v1", REPOSITORY[:1]),
        ("https://github.com/o/r/tags", REPOSITORY[2:]),
        ("https://github.com/o/r/commits/", REPOSITORY[1:2]),
        (
            "https://github.com/o/r/tree/fix/it",
            ["https://github.com/o/r/commits/fix/it.atom", REPOSITORY[0], REPOSITORY[2]],
        ),
        ("https://github.com/o/r/wiki/Home", ["https://github.com/o/r/wiki.atom", *REPOSITORY]),
        ("https://github.com/some-one/", ["https://github.com/some-one.atom"]),
        ("https://gist.github.com/me/0f0f", ["https://gist.github.com/me.atom"]),
        ("https://gitlab.com/g/s/p", PROJECT),
        ("https://gitlab.com/g/s/p/-/issues/1", PROJECT),
        ("https://gitlab.com/g/s/p/-/releases", PROJECT[:1]),
        (
            "https://gitlab.com/g/s/p/-/tree/dev/docs",
            ["https://gitlab.com/g/s/p/-/commits/dev?format=atom", *PROJECT],
        ),
        ("https://gitlab.com/me", ["https://gitlab.com/me.atom"]),
        (
            "https://codeberg.org/o/r/src/branch/main",
            [f"https://codeberg.org/o/r{end}" for end in ("/releases.atom", "/tags.atom", ".atom")],
        ),
        ("https://old.reddit.com/r/a_b+c/", [f"{REDDIT}/r/a_b+c/.rss"]),
        ("reddit.com/r/x/top/?t=week", [f"{REDDIT}/r/x/top/.rss?t=week"]),
        ("https://reddit.com/r/x/search/?q=a&sort=new", [f"{REDDIT}/r/x/search.rss?q=a&sort=new"]),
        ("https://reddit.com/r/x/comments/1ab/a_title/", [f"{REDDIT}/r/x/comments/1ab/.rss"]),
        ("https://reddit.com/u/some-one", [f"{REDDIT}/user/some-one/.rss"]),
        ("https://reddit.com/user/me/m/mine/", [f"{REDDIT}/user/me/m/mine/.rss"]),
        ("r/python", [f"{REDDIT}/r/python/.rss"]),
        ("https://bsky.app/profile/a.bsky.social", ["https://bsky.app/profile/a.bsky.social/rss"]),
        ("https://bsky.app/profile/did:plc:abc", ["https://bsky.app/profile/did:plc:abc/rss"]),
        ("https://medium.com/@some.one", ["https://medium.com/feed/@some.one"]),
        ("https://medium.com/pub/tagged/x", ["https://medium.com/feed/pub/tagged/x"]),
        ("https://medium.com/tag/rust", ["https://medium.com/feed/tag/rust"]),
        ("https://me.medium.com", ["https://me.medium.com/feed"]),
        ("https://me.substack.com/archive?sort=new", ["https://me.substack.com/feed"]),
        ("https://substack.com/@me", ["https://me.substack.com/feed"]),
        ("https://me.tumblr.com/tagged/a%20b", ["https://me.tumblr.com/tagged/a%20b/rss"]),
        ("https://www.tumblr.com/me", ["https://me.tumblr.com/rss"]),
        ("https://dev.to/t/python", ["https://dev.to/feed/tag/python"]),
        ("https://lobste.rs/t/a,b", ["https://lobste.rs/t/a,b.rss"]),
        ("https://news.ycombinator.com", ["https://news.ycombinator.com/rss"]),
        ("https://news.ycombinator.com/show", ["https://news.ycombinator.com/showrss"]),
        (
            "https://stackoverflow.com/questions/tagged/c%2b%2b?tab=Newest",
            ["https://stackoverflow.com/feeds/tag/c%2b%2b"],
        ),
        ("https://unix.stackexchange.com/users/7/x", ["https://unix.stackexchange.com/feeds/user/7"]),
        ("https://arxiv.org/list/cs.AI/recent", ["https://rss.arxiv.org/atom/cs.AI"]),
        ("https://vimeo.com/channels/staffpicks", ["https://vimeo.com/channels/staffpicks/videos/rss"]),
        (
            "https://store.steampowered.com/app/440/Name/",
            ["https://store.steampowered.com/feeds/news/app/440/"],
        ),
    ],
)  # fmt: skip
def test_pages_and_their_feeds(page: str, feeds: list[str]) -> None:
    assert links(page) == feeds


@pytest.mark.parametrize(
    "page",
    [
        "https://github.com/o/r/releases.atom",
        "https://github.com/me.atom",
        "https://github.com/settings/profile",
        "https://github.com/features",
        "https://gitlab.com/g/p/-/tags?format=atom",
        "https://gitlab.com/explore/projects",
        f"{YOUTUBE}channel_id=UC{CHANNEL}",
        "https://www.youtube.com/results?search_query=x",
        "https://www.reddit.com/r/x/.rss",
        "https://www.reddit.com/r/x/search.rss?q=a",
        "https://www.reddit.com/.rss?feed=0f0f&user=me",
        "https://medium.com/feed/@me",
        "https://me.tumblr.com/rss",
        "https://me:secret@github.com/o/r",
        "https://github.com.evil.example/o/r",
        "https://example.org/channel/x",
        "https://t.me/channel",
        "https://x.com/someone",
    ],
)
def test_what_is_left_alone(page: str) -> None:
    assert links(page) == []


@pytest.mark.parametrize(
    ("page", "route"),
    [
        ("https://t.me/s/durov", "/telegram/channel/durov"),
        ("https://twitter.com/some_one?lang=de", "/twitter/user/some_one"),
        ("https://www.tiktok.com/@some.one", "/tiktok/user/@some.one"),
        ("https://www.instagram.com/some.one/", "/instagram/2/user/some.one"),
        ("https://space.bilibili.com/42/video", "/bilibili/user/video/42"),
    ],
)
def test_sites_without_feeds_by_rsshub(page: str, route: str) -> None:
    assert links(page, "http://hub.lan:1200/base/") == [f"http://hub.lan:1200/base{route}"]
    assert links(page) == []


def test_rsshub_is_not_asked_for_what_has_feeds() -> None:
    assert links("https://github.com/me", "http://hub.lan") == ["https://github.com/me.atom"]
    assert links("https://x.com/home", "http://hub.lan") == []


def test_a_youtube_page_names_its_channel() -> None:
    other = "z" * 22
    video = f'{{"channelId":"UC{other}"}} {{"externalChannelId":"UC{CHANNEL}"}}'.encode()
    channel = f'<link href="{YOUTUBE}channel_id=UC{CHANNEL}"> "channelId":"UC{other}"'.encode()
    for page, body in (
        ("https://www.youtube.com/watch?v=abc&list=PLx", video),
        ("https://youtu.be/abc?si=1", video),
        ("https://www.youtube.com/shorts/abc", video),
        ("https://www.youtube.com/@some.one/videos", channel),
        ("https://www.youtube.com/c/name", f'"externalId":"UC{CHANNEL}"'.encode()),
    ):
        assert [link.url for link in feeds_in(body, page)] == CHANNEL_FEEDS, page
    assert feeds_in(video, "https://www.youtube.com/results?search_query=x") == ()
    assert feeds_in(video, "https://youtube.example/watch?v=abc") == ()
    assert feeds_in(b"nothing", "https://www.youtube.com/@x") == ()


def test_a_podcast_s_page_names_its_feed() -> None:
    body = b'{"feedUrl": "https://example.org/show.xml"}'
    (link,) = feeds_in(body, "https://podcasts.apple.com/us/podcast/a/id1")
    assert link.url == "https://example.org/show.xml"
    assert feeds_in(b'"feedUrl":"https://"', "https://podcasts.apple.com/us/podcast/a/id1") == ()


def test_mastodon_is_known_by_its_page() -> None:
    body = b"<body><div class='x' id='mastodon'></div></body>"
    for page, feed in (("/@me", "/@me.rss"), ("/tags/Cats/", "/tags/Cats.rss"),
                       ("/@me/with_replies?x=1", "/@me/with_replies.rss")):  # fmt: skip
        (link,) = feeds_in(body, f"https://me:pw@m.example{page}")
        assert link.url == f"https://m.example{feed}"
    assert feeds_in(body, "https://m.example/about") == ()
    assert feeds_in(b"<body></body>", "https://m.example/@me") == ()


def test_short_forms_are_written_out() -> None:
    assert normalise("@me@m.example") == "https://m.example/@me"
    assert normalise("/r/python/") == "https://www.reddit.com/r/python/"
    assert normalise("https://m.example/@me") == "https://m.example/@me"


def test_known_sites() -> None:
    assert is_known("https://github.com/features")
    assert not is_known("https://github.com.evil.example/")


@given(
    st.sampled_from(["www.youtube.com", "github.com", "gitlab.com", "www.reddit.com", "medium.com",
                     "t.me", "a.tumblr.com", "unix.stackexchange.com", "m.example"]),
    st.lists(st.sampled_from(["/", "r", "-", "tree", "wiki", "@a", "channel", "{", "}", "%7B", "?",
                              "list=", "tagged", "questions", "0", "..", "ñ", "&", ".rss", "{x}"]),
             max_size=9),
)  # fmt: skip
def test_any_address_gives_canonical_feeds_that_are_left_alone(host: str, parts: list[str]) -> None:
    try:
        page = normalise(f"https://{host}/{''.join(parts)}")
    except InvalidUrl:
        return
    for link in feeds_of(page, "https://hub.example"):
        assert normalise(link.url) == link.url
        assert feeds_of(link.url) == ()


def test_a_path_that_looks_like_a_host_is_a_path() -> None:
    """urlsplit takes what follows two slashes for a host, and this one for a wrong one."""
    page = "https://example.org//reddit.com]/a"
    assert feeds_in(b"", page) == ()
    assert common_places(page)[0] == "https://example.org//reddit.com]/feed"
