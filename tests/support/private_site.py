"""A site with a feed for each of its members, who prove who they are by a header or a password."""

from base64 import b64encode
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer
from feed_server import rss


def basic(user: str, password: str) -> str:
    """The header that a user and a password make."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@dataclass(slots=True)
class PrivateSite:
    """``/feed`` shows a member's posts, 401 to strangers; other paths redirect or are pages.

    ``members`` are (header name, value) -> account, ``posts`` belong to accounts. ``asked`` is
    every request: its path and headers.
    """

    members: dict[tuple[str, str], str] = field(default_factory=dict)
    posts: dict[str, list[int]] = field(default_factory=dict)
    moved: dict[str, tuple[int, str]] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    open_to_all: bool = False
    refusal: int = 401
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    server: TestServer | None = None

    async def __aenter__(self) -> "PrivateSite":
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self.server = TestServer(application, host="127.0.0.1")
        await self.server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.server is not None
        await self.server.close()

    def url(self, path: str = "/feed", *, login: str = "") -> str:
        """The address of a path, with ``user:password@`` if there is a login."""
        assert self.server is not None
        return f"http://{login}127.0.0.1:{self.server.port}{path}"

    def join(self, header: str, value: str, account: str, *, posts: int = 3) -> None:
        """Lets somebody in to an account, which has posts 1 … ``posts`` if it is new."""
        self.members[header, value] = account
        self.posts.setdefault(account, list(range(1, posts + 1)))

    def publish(self, account: str) -> None:
        """One more post of an account."""
        self.posts[account].append(self.posts[account][-1] + 1)

    def seen(self, header: str) -> list[str | None]:
        """What each request said in this header, in order."""
        return [headers.get(header) for _, headers in self.asked]

    def _account(self, headers: dict[str, str]) -> str | None:
        for (name, value), account in self.members.items():
            if headers.get(name) == value:
                return account
        return "public" if self.open_to_all else None

    async def _answer(self, request: web.Request) -> web.Response:
        headers = dict(request.headers)
        self.asked.append((request.path, headers))
        if request.path in self.moved:
            status, location = self.moved[request.path]
            return web.Response(status=status, headers={"Location": location})
        if request.path in self.pages:
            return web.Response(text=self.pages[request.path], content_type="text/html")
        account = self._account(headers)
        if account is None:
            return web.Response(status=self.refusal)
        posts = self.posts.setdefault(account, [1, 2, 3])
        etag = f'"{account}-{len(posts)}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        body, kind = rss(account, posts)
        return web.Response(body=body, headers={"ETag": etag, "Content-Type": kind})
