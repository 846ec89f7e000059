"""What ``heraldo feed held`` prints and does."""

from enum import Enum

from colmillo import PostgresStore, Queue
from heraldo.dates import moment
from heraldo.terminal import clean
from heraldo_sync.database import Pool
from heraldo_sync.holding import Held, HeldPosts


class Step(Enum):
    """What to do with held posts."""

    SEND = "send"
    SKIP = "skip"


async def settle_held(
    pool: Pool, *, url: str | None, chat_id: int | None, step: Step | None
) -> list[str]:
    """Lists what is held, of one feed and for one chat if told so; sends or skips all of it.

    The lines to print; they hold no credentials and no control characters.
    """
    held = Held(pool, Queue(PostgresStore(pool)))
    found = await held.find(url=url, chat_id=chat_id)
    if not found:
        return ["Nothing is held."]
    lines: list[str] = []
    for one in found:
        match step:
            case None:
                done = f"{one.posts} held, skipped {moment(one.until)}"
            case Step.SEND:
                done = f"{await held.send(one.target_id, one.subscription_id)} on their way"
            case Step.SKIP:
                done = f"{await held.skip(one.target_id, one.subscription_id)} skipped"
        lines.append(_line(one, done))
    return lines


def _line(one: HeldPosts, done: str) -> str:
    topic = f", topic {one.topic_id}" if one.topic_id else ""
    place = f"chat {one.chat_id}{topic} ({one.chat})"
    return clean(f"{place}: {one.title} {one.url}: {done}".replace("\n", " "))
