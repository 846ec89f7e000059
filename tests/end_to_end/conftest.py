"""What the end-to-end tests share."""

from collections.abc import AsyncIterator

import pytest
from feed_server import FeedServer


@pytest.fixture
async def feeds() -> AsyncIterator[FeedServer]:
    async with FeedServer() as feeds:
        yield feeds
