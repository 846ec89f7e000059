"""Photos, videos, audio, documents, animations and albums."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from heraldo.botapi.errors import JsonObject, bad_request
from heraldo.botapi.keyboards import Markup
from heraldo.botapi.methods.formatting import Formatted, caption, caption_from
from heraldo.botapi.methods.registry import Handler, method
from heraldo.botapi.methods.sending import open_envelope, post
from heraldo.botapi.params import Params, as_number, as_object, as_text
from heraldo.botapi.state import Media
from heraldo.botapi.world import World

MIN_ALBUM = 2
MAX_ALBUM = 10
_SIZED = ("photo", "video", "animation")
_TIMED = ("video", "audio", "animation")
_KINDS = ("photo", "video", "audio", "document", "animation")
_IN_ALBUMS = ("photo", "video", "audio", "document")
_ALONE = ("audio", "document")
_UNKNOWN_SIZE = 640


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    media: Media
    caption: Formatted


def _sender(kind: str) -> Handler:
    """Returns the handler that sends one file of that kind."""

    async def send(world: World, params: Params) -> object:
        text = caption(params)
        envelope = open_envelope(world, params)
        file = world.files.resolve(params, params.text(kind), kind)
        world.rates.count(envelope.chat)
        media = Media(kind=kind, file=file, extra=_extra(kind, params.values))
        return post(world, envelope, text, media=media).to_json()

    return send


for _kind in _KINDS:
    method(f"send{_kind.capitalize()}")(_sender(_kind))


@method("sendMediaGroup")
async def send_media_group(world: World, params: Params) -> object:
    """Sends an album of two to ten items; documents and audio only among themselves."""
    items = params.array("media")
    if not items:
        raise bad_request("there are no messages to send")
    if len(items) < MIN_ALBUM:
        # Telegram itself is lenient here; its documentation is not, and a bot should not rely
        # on it.
        raise bad_request(f"an album must have {MIN_ALBUM}-{MAX_ALBUM} items")
    if len(items) > MAX_ALBUM:
        raise bad_request("too many messages to send as an album")
    kinds = [_kind_of(as_object(item, "media")) for item in items]
    for kind in _ALONE:
        if kind in kinds and set(kinds) != {kind}:
            raise bad_request(f"{kind} can't be mixed with other media types")
    envelope = replace(open_envelope(world, params), markup=Markup())
    # Every item is looked at before the first is sent, so a refused one sends nothing.
    checked = [
        _item(world, params, kind, as_object(item, "media"))
        for kind, item in zip(kinds, items, strict=True)
    ]
    world.rates.count(envelope.chat, len(checked))
    album = str(10_000_000 + world.next_number())
    return [
        post(world, envelope, item.caption, media=item.media, album=album).to_json()
        for item in checked
    ]


def _kind_of(item: Mapping[str, object]) -> str:
    kind = as_text(item, "type", "InputMedia")
    if kind is None:
        raise bad_request("can't parse InputMedia: Can't find field \"type\"")
    if kind == "animation":
        raise bad_request(
            f"can't parse InputMedia: type \"{kind}\" can't be used in sendMediaGroup"
        )
    if kind not in _IN_ALBUMS:
        raise bad_request(f'can\'t parse InputMedia: type "{kind}" is unsupported')
    return kind


def _item(world: World, params: Params, kind: str, item: Mapping[str, object]) -> _Item:
    where = as_text(item, "media", "InputMedia")
    if not where:
        raise bad_request("can't parse InputMedia: media not found")
    return _Item(
        media=Media(
            kind=kind, file=world.files.resolve(params, where, kind), extra=_extra(kind, item)
        ),
        caption=caption_from(item),
    )


def _extra(kind: str, source: Mapping[str, object]) -> JsonObject:
    extra: JsonObject = {}
    if kind in _SIZED:
        for name in ("width", "height"):
            extra[name] = as_number(source, name) or _UNKNOWN_SIZE
    if kind in _TIMED:
        extra["duration"] = as_number(source, "duration") or 0
    if kind == "audio":
        for name in ("title", "performer"):
            if value := as_text(source, name):
                extra[name] = value
    return extra
