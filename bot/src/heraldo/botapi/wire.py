"""Requests and answers on the wire: every encoding the Bot API takes."""

import json
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web

from heraldo.botapi.entities import check_unicode
from heraldo.botapi.errors import Rejected, bad_request
from heraldo.botapi.params import Params, Upload

MAX_BODY = 64 * 1024 * 1024


async def read_params(request: web.Request) -> Params:
    """Returns the parameters of query string and body; the body's win.

    Reads forms, multipart with files, and JSON. Raises Rejected for what is none of these.
    """
    values: dict[str, object] = {**_pairs(request.rel_url.raw_query_string.encode())}
    uploads: dict[str, Upload] = {}
    try:
        match request.content_type:
            case "multipart/form-data":
                await _read_multipart(request, values, uploads)
            case "application/json":
                values |= _json_body(await request.read())
            case _:
                values |= _pairs(await request.read())
    except web.HTTPRequestEntityTooLarge:
        raise Rejected(413, "Request Entity Too Large") from None
    return Params(values, uploads)


def success(result: object) -> web.Response:
    """Returns the answer for what was carried out."""
    return _answer(200, {"ok": True, "result": result})


def failure(rejected: Rejected) -> web.Response:
    """Returns the answer for what was not."""
    response = _answer(rejected.code, rejected.body())
    if rejected.retry_after is not None:
        response.headers["Retry-After"] = str(rejected.retry_after)
    return response


def _answer(status: int, body: object) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(body).encode(), content_type="application/json"
    )


def _pairs(raw: bytes) -> dict[str, str]:
    # Latin-1 keeps every byte as it is until the whole value is decoded, or refused, as UTF-8.
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    return {_text(name.encode("latin-1")): _text(value.encode("latin-1")) for name, value in pairs}


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise bad_request("strings must be encoded in UTF-8") from None


def _json_body(raw: bytes) -> dict[str, object]:
    if not raw.strip():
        return {}
    try:
        body: object = json.loads(raw)
    except ValueError:
        raise bad_request("can't parse JSON object") from None
    if not isinstance(body, dict):
        raise bad_request("expected an Object")
    for value in body.values():
        if isinstance(value, str):
            check_unicode(value)
    return {str(name): value for name, value in body.items() if value is not None}


async def _read_multipart(
    request: web.Request, values: dict[str, object], uploads: dict[str, Upload]
) -> None:
    size = 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or not part.name:
            raise bad_request("can't parse the multipart body")
        data = bytearray()
        while chunk := await part.read_chunk():
            size += len(chunk)
            if size > MAX_BODY:
                raise Rejected(413, "Request Entity Too Large")
            data += chunk
        if part.filename is None:
            values[part.name] = _text(bytes(data))
        else:
            uploads[part.name] = Upload(
                filename=part.filename,
                content_type=part.headers.get("Content-Type", "application/octet-stream"),
                data=bytes(data),
            )
