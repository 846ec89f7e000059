"""A town with a private site, whose members have cookies, and chats that follow it."""

from dataclasses import dataclass, replace
from datetime import timedelta

from private_site import PrivateSite
from town import Town

from heraldo_sync.database import Pool
from heraldo_sync.private import Private, private_address
from heraldo_sync.subscribing import Found, Subscribed, look, subscribe
from heraldo_sync.vault import Vault

CANARY = "c4n4ry-s3cr3t"


@dataclass(slots=True)
class Club:
    """A town with a private site, and chats that follow it."""

    town: Town
    site: PrivateSite
    pool: Pool

    def use(self, *keys: str) -> None:
        """Gives the workers these keys."""
        vault = Vault(keys) if keys else None
        self.town.services = replace(self.town.services, vault=vault)

    def cookie(self, member: str) -> Private:
        private = private_address(self.site.url(), [f"Cookie: {CANARY}-{member}"])[1]
        assert private is not None
        return private

    async def follow(self, target_id: int, member: str | None, path: str = "/feed") -> Subscribed:
        """Subscribes as /subscribe does, with a member's cookie."""
        private = self.cookie(member) if member else None
        found = await look(self.town.services, self.site.url(path), private)
        assert isinstance(found, Found), found
        return await subscribe(self.town.services, target_id, found)

    async def feeds(self) -> list[int]:
        return [row["id"] for row in await self.pool.fetch("SELECT id FROM feeds ORDER BY id")]

    async def feed_of(self, target_id: int) -> int:
        feed_id: int = await self.pool.fetchval(
            "SELECT feed_id FROM subscriptions WHERE target_id = $1", target_id
        )
        return feed_id

    async def check(self, feed_id: int, after: timedelta = timedelta()) -> int:
        return await self.town.check(feed_id, after=after)

    async def subscriptions(self, target_id: int) -> list[str]:
        page = await self.town.subscriptions.page(target_id, offset=0, limit=9)
        return [view.title for view in page.items]
