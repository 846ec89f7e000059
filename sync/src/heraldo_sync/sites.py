"""Where well-known sites keep the feeds of what a person sees there, by rules of text alone.

Each rule is a page's host and path, and the feeds that the site documents for it. The first
rule that fits counts; several feeds are several wishes a person may have, the likeliest first.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from heraldo_sync import fields, urls
from heraldo_sync.model import FeedLink

MAX_PAGE = 3_000_000
# A person who sends one of these has found the feed already.
_IS_FEED = re.compile(
    r"\.(?:atom|rss|xml|rdf)$|/(?:rss|feed)/?$|^/feeds?/|^/(?:showrss)$", re.IGNORECASE
)
_FORMAT = re.compile(r"(?:^|&)format=(?:atom|rss)\b")


@dataclass(frozen=True, slots=True)
class _Rule:
    """``page`` fits host, path and query; its named groups fill the feeds' addresses."""

    page: re.Pattern[str]
    feeds: tuple[tuple[str, str], ...]


def _rule(host: str, path: str, *feeds: tuple[str, str]) -> _Rule:
    return _Rule(re.compile(rf"(?:{host}){path}"), feeds)


def _words(names: str) -> str:
    """Fits a first path segment that is none of these names."""
    return rf"(?!/(?:{'|'.join(names.split())})(?:[/?]|$))"


_YOUTUBE_HOST = r"(?:www\.|m\.|music\.)?youtube\.com"
_YOUTUBE = "https://www.youtube.com/feeds/videos.xml?"
_YOUTUBE_FEEDS = (
    (_YOUTUBE + "channel_id=UC{channel}", "All videos"),
    (_YOUTUBE + "playlist_id=UULF{channel}", "Without Shorts and streams"),
    (_YOUTUBE + "playlist_id=UUSH{channel}", "Shorts only"),
    (_YOUTUBE + "playlist_id=UULV{channel}", "Live streams only"),
)
_GITHUB = "https://github.com/{owner}/{repo}"
_GITHUB_FEEDS = (
    (_GITHUB + "/releases.atom", "Releases"),
    (_GITHUB + "/commits.atom", "Commits"),
    (_GITHUB + "/tags.atom", "Tags"),
)
_GITHUB_PAGES = _words(
    "about account apps codespaces collections contact customer-stories dashboard enterprise "
    "events explore features issues join login logout marketplace new notifications orgs "
    "organizations pricing pulls readme search security settings signup site sponsors stars "
    "team topics trending"
)
_REPO = r"/(?P<owner>[^/?]+)/(?P<repo>[^/?]+?)(?:\.git)?"
_GITLAB = "https://gitlab.com/{project}"
_GITLAB_FEEDS = (
    (_GITLAB + "/-/releases.atom", "Releases"),
    (_GITLAB + "/-/tags?format=atom", "Tags"),
    (_GITLAB + ".atom", "Activity"),
)
_GITLAB_PAGES = _words(
    "- admin api assets dashboard explore groups help import invites oauth profile projects"
    " search snippets uploads users"
)
_GITEA_FEEDS = (
    ("https://{host}/{owner}/{repo}/releases.atom", "Releases"),
    ("https://{host}/{owner}/{repo}/tags.atom", "Tags"),
    ("https://{host}/{owner}/{repo}.atom", "Activity"),
)
_REDDIT_HOST = r"(?:(?:www|old|new|m|np|sh)\.)?reddit\.com"
_REDDIT = "https://www.reddit.com"
_STACK = (
    r"(?P<host>(?:[\w-]+\.)?(?:stackoverflow\.com|stackexchange\.com|serverfault\.com"
    r"|superuser\.com|askubuntu\.com|stackapps\.com|mathoverflow\.net))"
)
_MEDIUM_PAGES = _words("me new-story plans membership m p search tag about business creators")
_END = r"/?(?:\?.*)?"
_REST = r"(?:[/?].*)?"

_RULES = (
    # YouTube: channel_id, playlist_id; a channel's UU lists are its uploads by kind.
    _rule(_YOUTUBE_HOST, r"/channel/UC(?P<channel>[\w-]{22})" + _REST, *_YOUTUBE_FEEDS),
    _rule(
        _YOUTUBE_HOST,
        r"/playlist\?(?:.*&)?list=(?P<list>[\w-]+)(?:&.*)?",
        (_YOUTUBE + "playlist_id={list}", "Playlist"),
    ),
    # GitHub: releases, tags, commits of a branch and a path in it, wiki, discussions, people.
    _rule(r"(?:www\.)?github\.com", _GITHUB_PAGES + _REPO + r"/releases" + _REST, _GITHUB_FEEDS[0]),
    _rule(r"(?:www\.)?github\.com", _GITHUB_PAGES + _REPO + r"/tags" + _REST, _GITHUB_FEEDS[2]),
    _rule(r"(?:www\.)?github\.com", _GITHUB_PAGES + _REPO + r"/commits" + _END, _GITHUB_FEEDS[1]),
    _rule(
        r"(?:www\.)?github\.com",
        _GITHUB_PAGES + _REPO + r"/(?:commits|tree|blob)/(?P<branch>[^?]+?)" + _END,
        (_GITHUB + "/commits/{branch}.atom", "Commits to {branch}"),
        _GITHUB_FEEDS[0],
        _GITHUB_FEEDS[2],
    ),
    _rule(
        r"(?:www\.)?github\.com",
        _GITHUB_PAGES + _REPO + r"/(?P<part>wiki|discussions)" + _REST,
        (_GITHUB + "/{part}.atom", "{part}"),
        *_GITHUB_FEEDS,
    ),
    _rule(r"(?:www\.)?github\.com", _GITHUB_PAGES + _REPO + _REST, *_GITHUB_FEEDS),
    _rule(
        r"(?:www\.)?github\.com",
        _GITHUB_PAGES + r"/(?P<user>[\w-]+)" + _END,
        ("https://github.com/{user}.atom", "Activity of {user}"),
    ),
    _rule(
        r"gist\.github\.com",
        r"/(?P<user>[\w-]+)" + _REST,
        ("https://gist.github.com/{user}.atom", "Gists of {user}"),
    ),
    # GitLab: the path before "/-/" is the project; groups may be nested.
    _rule(
        r"(?:www\.)?gitlab\.com",
        _GITLAB_PAGES + r"/(?P<project>[^?]+?)/-/(?:commits|tree|blob)/(?P<branch>[^/?]+)" + _REST,
        (_GITLAB + "/-/commits/{branch}?format=atom", "Commits to {branch}"),
        *_GITLAB_FEEDS,
    ),
    _rule(
        r"(?:www\.)?gitlab\.com",
        _GITLAB_PAGES + r"/(?P<project>[^?]+?)/-/releases" + _REST,
        _GITLAB_FEEDS[0],
    ),
    _rule(
        r"(?:www\.)?gitlab\.com",
        _GITLAB_PAGES + r"/(?P<project>[^?]+?)/-/tags" + _REST,
        _GITLAB_FEEDS[1],
    ),
    _rule(
        r"(?:www\.)?gitlab\.com",
        _GITLAB_PAGES + r"/(?P<project>[^/?]+/[^?]+?)(?:/-/.*|/?(?:\?.*)?)",
        *_GITLAB_FEEDS,
    ),
    _rule(
        r"(?:www\.)?gitlab\.com",
        _GITLAB_PAGES + r"/(?P<user>[^/?]+)" + _END,
        ("https://gitlab.com/{user}.atom", "Activity of {user}"),
    ),
    # Gitea and Forgejo answer .atom and .rss below people, projects, releases and tags.
    _rule(
        r"(?P<host>codeberg\.org|gitea\.com)",
        _words("explore admin user assets api -") + _REPO + _REST,
        *_GITEA_FEEDS,
    ),
    _rule(
        r"(?P<host>codeberg\.org|gitea\.com)",
        _words("explore admin user assets api -") + r"/(?P<user>[^/?]+)" + _END,
        ("https://{host}/{user}.atom", "Activity of {user}"),
    ),
    # Reddit: .rss behind nearly every listing, with the listing's own query.
    _rule(
        _REDDIT_HOST,
        r"/r/(?P<sub>[\w+-]+)/comments/(?P<post>\w+)" + _REST,
        (_REDDIT + "/r/{sub}/comments/{post}/.rss", "Comments"),
    ),
    _rule(
        _REDDIT_HOST,
        r"(?P<search>(?:/r/[\w+-]+)?/search)/?(?P<query>\?.+)",
        (_REDDIT + "{search}.rss{query}", "Search"),
    ),
    _rule(
        _REDDIT_HOST,
        r"(?P<list>/r/[\w+-]+(?:/(?:hot|new|rising|controversial|top|best|comments))?"
        r"|/user/[\w-]+(?:/m/\w+|/submitted|/comments)?|/domain/[\w.-]+)/?(?P<query>(?:\?.*)?)",
        (_REDDIT + "{list}/.rss{query}", "Posts"),
    ),
    _rule(
        _REDDIT_HOST,
        r"/u/(?P<user>[\w-]+)" + _END,
        (_REDDIT + "/user/{user}/.rss", "Posts of {user}"),
    ),
    # Blogs and networks.
    _rule(
        r"bsky\.app",
        r"/profile/(?P<who>[\w.:-]+)" + _REST,
        ("https://bsky.app/profile/{who}/rss", "Posts"),
    ),
    _rule(
        r"(?:www\.)?medium\.com",
        r"/@(?P<user>[\w.-]+)" + _END,
        ("https://medium.com/feed/@{user}", "Posts"),
    ),
    _rule(
        r"(?:www\.)?medium\.com",
        r"/tag/(?P<tag>[\w%-]+)" + _REST,
        ("https://medium.com/feed/tag/{tag}", "Posts on {tag}"),
    ),
    _rule(
        r"(?:www\.)?medium\.com",
        _MEDIUM_PAGES + r"/(?P<name>[\w.-]+(?:/tagged/[\w%-]+)?)" + _END,
        ("https://medium.com/feed/{name}", "Posts"),
    ),
    _rule(
        r"(?!www\.)(?P<name>[\w-]+)\.medium\.com", _END, ("https://{name}.medium.com/feed", "Posts")
    ),
    _rule(
        r"(?!www\.)(?P<name>[\w-]+)\.substack\.com",
        r"(?:/(?:archive|about)?)?" + _END,
        ("https://{name}.substack.com/feed", "Posts"),
    ),
    _rule(
        r"(?:www\.)?substack\.com",
        r"/@(?P<name>[\w-]+)" + _END,
        ("https://{name}.substack.com/feed", "Posts"),
    ),
    _rule(
        r"(?!www\.)(?P<name>[\w-]+)\.tumblr\.com",
        r"(?P<tag>(?:/tagged/[^/?]+)?)" + _END,
        ("https://{name}.tumblr.com{tag}/rss", "Posts"),
    ),
    _rule(
        r"(?:www\.)?tumblr\.com",
        _words("dashboard explore login register search settings tagged about policy help")
        + r"/(?P<name>[\w-]+)"
        + _END,
        ("https://{name}.tumblr.com/rss", "Posts"),
    ),
    _rule(
        r"dev\.to", r"/t/(?P<tag>\w+)" + _REST, ("https://dev.to/feed/tag/{tag}", "Posts on {tag}")
    ),
    _rule(
        r"lobste\.rs",
        r"/(?P<page>t/[\w,-]+|domains/[\w.-]+|newest)" + _END,
        ("https://lobste.rs/{page}.rss", "Stories"),
    ),
    _rule(r"lobste\.rs", _END, ("https://lobste.rs/rss", "Stories")),
    _rule(
        r"news\.ycombinator\.com",
        r"/show(?:new)?",
        ("https://news.ycombinator.com/showrss", "Show HN"),
    ),
    _rule(
        r"news\.ycombinator\.com", r"/(?:news)?", ("https://news.ycombinator.com/rss", "Front page")
    ),
    # Questions and papers.
    _rule(
        _STACK,
        r"/questions/tagged/(?P<tag>[^/?]+)" + _END,
        ("https://{host}/feeds/tag/{tag}", "Questions on {tag}"),
    ),
    _rule(
        _STACK,
        r"/(?P<kind>question|user)s/(?P<id>\d+)" + _REST,
        ("https://{host}/feeds/{kind}/{id}", "The {kind}'s posts"),
    ),
    _rule(
        r"(?:www\.)?arxiv\.org",
        r"/(?:list|archive)/(?P<category>[\w.-]+)" + _REST,
        ("https://rss.arxiv.org/atom/{category}", "New papers in {category}"),
    ),
    # Videos and games.
    _rule(
        r"(?:www\.)?vimeo\.com",
        r"(?P<page>/(?:channels|groups)/[\w-]+)" + _REST,
        ("https://vimeo.com{page}/videos/rss", "Videos"),
    ),
    _rule(
        r"store\.steampowered\.com|steamcommunity\.com",
        r"/(?:news/)?app/(?P<app>\d+)" + _REST,
        ("https://store.steampowered.com/feeds/news/app/{app}/", "News"),
    ),
    _rule(
        r"steamcommunity\.com",
        r"/groups/(?P<group>[^/?]+)" + _REST,
        ("https://steamcommunity.com/groups/{group}/rss", "Announcements"),
    ),
)

# Sites without feeds of their own: routes of RSSHub (docs.rsshub.app), below the operator's.
_ROUTES = (
    _rule(
        r"(?:t\.me|telegram\.me)",
        r"/(?:s/)?(?P<name>[A-Za-z]\w{3,31})" + _END,
        ("/telegram/channel/{name}", "Channel"),
    ),
    _rule(
        r"(?:(?:www|mobile)\.)?(?:x|twitter)\.com",
        _words(
            "about compose explore hashtag home i intent login messages notifications search "
            "settings share signup tos privacy"
        )
        + r"/(?P<name>\w{1,15})"
        + _END,
        ("/twitter/user/{name}", "Posts"),
    ),
    _rule(
        r"(?:www\.)?tiktok\.com", r"/(?P<name>@[\w.]+)" + _END, ("/tiktok/user/{name}", "Videos")
    ),
    _rule(
        r"(?:www\.)?instagram\.com",
        _words("about accounts direct explore p reel reels stories") + r"/(?P<name>[\w.]+)" + _END,
        ("/instagram/2/user/{name}", "Posts"),
    ),
    _rule(
        r"space\.bilibili\.com", r"/(?P<id>\d+)" + _REST, ("/bilibili/user/video/{id}", "Videos")
    ),
)

_CHANNEL = (
    re.compile(rb"\"externalChannelId\":\"UC([\w-]{22})\""),
    re.compile(rb"feeds/videos\.xml\?channel_id=UC([\w-]{22})"),
    re.compile(rb"\"externalId\":\"UC([\w-]{22})\""),
    re.compile(rb"itemprop=\"(?:channelId|identifier)\" content=\"UC([\w-]{22})\""),
    re.compile(rb"\"channelId\":\"UC([\w-]{22})\""),
)
# Not its searches, which name any number of channels.
_YOUTUBE_PAGE = re.compile(
    rf"{_YOUTUBE_HOST}/(?:@|c/|user/|channel/|watch\?|shorts/|live/|embed/).+"
    r"|(?:www\.)?youtu\.be/.+"
)
_PODCAST = re.compile(rb"\"feedUrl\"\s*:\s*\"(https?:[^\"\s]{1,2000})\"")
_MASTODON = re.compile(rb"<div[^>]{0,200}?\sid=['\"]mastodon['\"]|content=['\"]Mastodon v?\d")
_MASTODON_PAGE = re.compile(r"/(?:@[\w.-]+(?:/(?:with_replies|media|tagged/[^/]+))?|tags/[^/]+)/?")


def feeds_of(url: str, rsshub: str | None = None) -> tuple[FeedLink, ...]:
    """Returns the feeds of a page by its canonical address alone; none for most addresses.

    ``rsshub`` is the base address of an RSSHub whose routes are to be used as well. An address
    with credentials is left alone: they were meant for something else.
    """
    parsed = urls.parse(url)
    parts = urlsplit(url)
    if parsed.userinfo or _IS_FEED.search(parts.path) or _FORMAT.search(parts.query):
        return ()
    page = parsed.host + parsed.target
    found = _fitting(_RULES, page)
    if not found and rsshub is not None:
        base = rsshub.rstrip("/")
        found = [(base + route, title) for route, title in _fitting(_ROUTES, page)]
    return tuple(FeedLink(url=urls.normalise(link), title=title) for link, title in found)


def feeds_in(body: bytes, url: str) -> tuple[FeedLink, ...]:
    """Returns the feeds that are known from what a site's page holds, in its first 3 MB."""
    page = urls.parse(url)
    body = body[:MAX_PAGE]
    if _YOUTUBE_PAGE.fullmatch(page.host + page.target):
        found = next(filter(None, (pattern.search(body) for pattern in _CHANNEL)), None)
        return _links(_YOUTUBE_FEEDS, {"channel": found[1].decode()}) if found else ()
    if page.host == "podcasts.apple.com":
        podcast = _PODCAST.search(body)
        link = fields.link(podcast[1].decode("utf-8", "replace"), url) if podcast else None
        return (FeedLink(url=link),) if link else ()
    path = page.path
    if _MASTODON_PAGE.fullmatch(path) and _MASTODON.search(body):
        address = urls.resolve(str(page.without_credentials()), path.rstrip("/") + ".rss")
        return (FeedLink(url=address, title="Posts"),)
    return ()


def is_known(url: str) -> bool:
    """Whether the address is on a site whose feeds these rules know: no use to guess there."""
    host = urls.parse(url).host
    return bool(_KNOWN.fullmatch(host))


_KNOWN = re.compile(
    rf"{_YOUTUBE_HOST}|youtu\.be|{_REDDIT_HOST}|(?:www\.)?(?:github|gitlab|medium|substack|tumblr"
    r"|instagram|tiktok|twitter|x|vimeo)\.com|t\.me|telegram\.me|bsky\.app|news\.ycombinator\.com"
    r"|podcasts\.apple\.com|(?:space|www)\.bilibili\.com"
)


def _fitting(rules: Iterable[_Rule], page: str) -> list[tuple[str, str]]:
    for rule in rules:
        found = rule.page.fullmatch(page)
        if found:
            return [
                (url.format_map(found.groupdict()), title.format_map(found.groupdict()))
                for url, title in rule.feeds
            ]
    return []


def _links(feeds: Iterable[tuple[str, str]], values: dict[str, str]) -> tuple[FeedLink, ...]:
    return tuple(FeedLink(url=url.format_map(values), title=title) for url, title in feeds)
