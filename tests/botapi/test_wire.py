"""Encodings, addresses and answers, without a client library in between."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from heraldo.botapi import BotApiServer

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32
BUTTONS = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def address(server: BotApiServer, method: str) -> str:
    return f"{server.base_url}/bot{server.token}/{method}"


@pytest.mark.parametrize("encoding", ["form", "multipart", "json", "nested json", "query"])
async def test_every_encoding(
    server: BotApiServer, http: aiohttp.ClientSession, encoding: str
) -> None:
    ana = server.person("Ana")
    url = address(server, "sendMessage")
    flat = {"chat_id": str(ana.id), "text": '{"é": 1}', "reply_markup": json.dumps(BUTTONS)}
    nested: dict[str, object] = {**flat, "chat_id": ana.id, "reply_markup": BUTTONS}
    match encoding:
        case "form":
            request = http.post(url, data=flat)
        case "multipart":
            body = aiohttp.FormData(flat, default_to_multipart=True)
            request = http.post(url, data=body)
        case "json":
            request = http.post(url, json=flat)
        case "nested json":
            request = http.post(url, json=nested)
        case _:
            request = http.get(url, params=flat)
    async with request as answer:
        body_back = await answer.json()
    assert (answer.status, body_back["ok"]) == (200, True)
    (message,) = ana.private.from_bot
    assert message.text == '{"é": 1}'
    assert [button.data for row in message.buttons for button in row] == ["go"]


async def test_files_come_attached_or_named_like_the_parameter(
    server: BotApiServer, http: aiohttp.ClientSession
) -> None:
    ana = server.person("Ana")
    for photo in ("attach://elsewhere", None):
        body = aiohttp.FormData({"chat_id": str(ana.id)})
        if photo is not None:
            body.add_field("photo", photo)
        body.add_field("elsewhere" if photo else "photo", PNG, filename="a.png")
        async with http.post(address(server, "sendPhoto"), data=body) as answer:
            assert answer.status == 200
    assert [each.media and each.media.file.data for each in ana.private.from_bot] == [PNG, PNG]


@pytest.mark.parametrize("method", ["getMe", "getme", "GETME"])
async def test_method_names_are_not_case_sensitive(
    server: BotApiServer, http: aiohttp.ClientSession, method: str
) -> None:
    async with http.post(address(server, method)) as answer:
        result = (await answer.json())["result"]
    assert (result["id"], result["is_bot"]) == (server.bot_user.id, True)


@pytest.mark.parametrize(
    ("path", "status", "description"),
    [
        ("/bot{token}/makeCoffee", 404, "Not Found: method not found"),
        ("/bot1:wrong/getMe", 401, "Unauthorized"),
        ("/elsewhere", 404, "Not Found"),
        ("/file/bot{token}/files/none", 404, "Not Found"),
    ],
)
async def test_wrong_addresses(
    server: BotApiServer,
    http: aiohttp.ClientSession,
    path: str,
    status: int,
    description: str,
) -> None:
    async with http.get(server.base_url + path.format(token=server.token)) as answer:
        body = await answer.json()
    assert answer.status == status
    assert body == {"ok": False, "error_code": status, "description": description}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"chat_id=1&text=%ff", "application/x-www-form-urlencoded"),
        (b"chat_id=1&text=\xff", "application/x-www-form-urlencoded"),
        (rb'{"chat_id": 1, "text": "\ud800"}', "application/json"),
    ],
)
async def test_text_that_is_not_unicode(
    server: BotApiServer, http: aiohttp.ClientSession, body: bytes, content_type: str
) -> None:
    headers = {"Content-Type": content_type}
    async with http.post(address(server, "sendMessage"), data=body, headers=headers) as answer:
        description = (await answer.json())["description"]
    assert (answer.status, description) == (400, "Bad Request: strings must be encoded in UTF-8")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"'])
async def test_broken_json(server: BotApiServer, http: aiohttp.ClientSession, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with http.post(address(server, "getMe"), data=body, headers=headers) as answer:
        assert answer.status == 400


async def test_requests_are_logged_with_their_outcome(
    server: BotApiServer, http: aiohttp.ClientSession
) -> None:
    ana = server.person("Ana")
    for text in ("fine", ""):
        data = {"chat_id": str(ana.id), "text": text}
        async with http.post(address(server, "sendMessage"), data=data):
            pass
    assert [(call.chat_id, call.params["text"], call.outcome) for call in server.calls] == [
        (ana.id, "fine", "ok"),
        (ana.id, "", "Bad Request: message text is empty"),
    ]


async def test_a_transcript_is_readable(server: BotApiServer, http: aiohttp.ClientSession) -> None:
    ana = server.person("Ana")
    await ana.says("/start")
    data = {
        "chat_id": str(ana.id),
        "text": '🏟 see <a href="https://example.org/">this</a>.',
        "parse_mode": "HTML",
        "reply_markup": json.dumps(BUTTONS),
    }
    async with http.post(address(server, "sendMessage"), data=data):
        pass
    assert server.transcript(ana.private) == (
        "1. Ana: /start\n2. El Heraldo: 🏟 see this (https://example.org/).\n    [Go]"
    )
