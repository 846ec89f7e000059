"""The outside world of image-test.sh: a Bot API server, a feed, and somebody who subscribes to it.

Runs in a container of the image under test, beside the bot, the scheduler and a worker. Prints the
owner's id first, and the chat when the newest entry and then a new post arrived; then it stays
there, since the network's name server does not survive the end of a container on every machine.
"""

import asyncio
import sys

from aiohttp import web

from heraldo.botapi import BotApiServer, Person

FEED = "http://api:8082/feed.xml"


def feed(*titles: str) -> str:
    """Returns an RSS feed with these posts, newest first."""
    items = "".join(
        f"<item><title>{title}</title><guid>{title}</guid><link>{FEED}?{number}</link></item>"
        for number, title in enumerate(titles)
    )
    return f'<rss version="2.0"><channel><title>News</title>{items}</channel></rss>'


async def follow(server: BotApiServer, owner: Person, titles: list[str]) -> None:
    """Subscribes as soon as the bot listens; publishes a second post when the first is there."""
    await server.wait_until(lambda: bool(server.calls_of("getUpdates")), within=90, what="the bot")
    await owner.says(f"/subscribe {FEED}")
    await owner.private.wait_for(lambda message: "First post" in message.text, within=60)
    titles.insert(0, "Second post")
    await owner.private.wait_for(lambda message: "Second post" in message.text, within=60)
    print(server.transcript(owner.private), flush=True)


async def main(token: str) -> None:
    """Serves until it is killed, or until what has to come does not come."""
    titles = ["First post"]

    async def serve_feed(_: web.Request) -> web.Response:
        return web.Response(text=feed(*titles), content_type="application/rss+xml")

    app = web.Application()
    app.router.add_get("/feed.xml", serve_feed)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 8082).start()
    try:
        async with BotApiServer(token=token, host="0.0.0.0", port=8081) as server:
            owner = server.person("Owner")
            print(f"owner={owner.id}", flush=True)
            await follow(server, owner, titles)
            print("The subscription works.", flush=True)
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
