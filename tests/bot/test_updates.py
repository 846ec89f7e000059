"""What comes in: unreadable updates, and the order of a chat's updates."""

import asyncio
from typing import Any

from telegram import Update

from heraldo.updates import PerChat, sift


def message(update_id: int, chat_id: int) -> dict[str, Any]:
    body = {"message_id": 1, "date": 1, "chat": {"id": chat_id, "type": "private"}}
    return {"update_id": update_id, "message": body}


def test_readable_updates_pass() -> None:
    answer = {"ok": True, "result": [message(1, 5), {"update_id": 2, "telepathy": {}}]}
    assert sift(answer) == answer


def test_unreadable_updates_keep_their_id_alone() -> None:
    answer = {
        "ok": True,
        "result": [{"update_id": 1, "message": {"date": 1}}, message(2, 5), "what", {"no": "id"}],
    }
    assert sift(answer) == {"ok": True, "result": [{"update_id": 1}, message(2, 5)]}


def test_other_answers_pass() -> None:
    for answer in ({"ok": False, "error_code": 409}, {"ok": True, "result": True}):
        assert sift(answer) == answer


def update(update_id: int, chat_id: int) -> Update:
    made = Update.de_json(message(update_id, chat_id), None)
    assert made is not None
    return made


async def test_a_chat_keeps_its_order_and_holds_up_nobody() -> None:
    processor = PerChat(10)
    gate = asyncio.Event()
    done: list[str] = []

    async def slow() -> None:
        await gate.wait()
        done.append("slow")

    async def quick(name: str) -> None:
        done.append(name)

    first = asyncio.create_task(processor.process_update(update(1, 5), slow()))
    second = asyncio.create_task(processor.process_update(update(2, 5), quick("after it")))
    await asyncio.create_task(processor.process_update(update(3, 6), quick("other chat")))
    await asyncio.create_task(processor.process_update(Update(4), quick("no chat")))
    assert done == ["other chat", "no chat"]
    gate.set()
    await asyncio.gather(first, second)
    assert done == ["other chat", "no chat", "slow", "after it"]


async def test_a_failing_update_lets_the_next_one_in() -> None:
    processor = PerChat(10)

    async def fails() -> None:
        raise ValueError

    async def works() -> None:
        pass

    results = await asyncio.gather(
        processor.process_update(update(1, 5), fails()),
        processor.process_update(update(2, 5), works()),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [ValueError, type(None)]
