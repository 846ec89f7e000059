"""The SAX driver that feedparser reads with: expat, made quicker and watched.

feedparser takes its parser from the drivers it prefers. Ours hands text over in large pieces,
finds an attribute without going over all of them, refuses hostile tags, keeps an entry's base
from the entries after it, and sees whether it leaves anything else in feedparser's state that
they would be read with.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from xml.sax.expatreader import ExpatParser
from xml.sax.xmlreader import AttributesNSImpl

import feedparser.api

from heraldo_sync.errors import SyncError

# Far more than any feed has. feedparser's time for a document of megabytes of these is minutes.
MAX_ATTRIBUTES = 1_000
MAX_DEPTH = 1_000
MAX_ITEMS = 20_000
MAX_SKIPS = 100

# What feedparser collects, what each entry sets before it uses it, and the stack, which an entry
# only reads above its own mark. An entry must leave the rest as it found it.
_OWN = """
    bozo elementstack entries exc feeddata guidislink lang langstack namespacemap
    namespaces_in_use property_depth_map title_depth
"""
_LEFT_OUT = frozenset(_OWN.split())
_ITEMS = frozenset({"item", "entry"})
_SKIPS = frozenset({"skiphours", "skipdays"})
_KNOWN = frozenset(uri.lower() for uri in feedparser.api.StrictFeedParser.namespaces)

Name = tuple[str | None, str]
State = dict[str, Any]


class TooMuch(SyncError):
    """A tag has more attributes, or a document more levels or items, than any feed."""


class Watch:
    """What was seen of one document: how many entries, and whether each stands on its own.

    ``separable`` is True when every entry would read the same without the others. ``skips`` are
    the texts in skipHours and skipDays, of which feedparser keeps the last one alone.
    """

    def __init__(self) -> None:
        self.begun = 0
        self.entries = 0
        self.separable = True
        self.skips: list[str] = []
        self._skipping = False
        self._before: tuple[State, State] | None = None
        self._declared = False
        self._base = ""

    def declared(self, prefix: str | None) -> None:
        """A name space was declared, by the element that starts next."""
        self._declared = self._declared or prefix is not None

    def started(self, local: str, handler: Any) -> None:
        """An element starts; feedparser has not heard of it."""
        if local.lower() in _ITEMS:
            self.begun += 1
            # feedparser forgets this after an entry, yet not after a channel's own content.
            handler.hasContent = 0
            if self._declared:
                # Of its declarations feedparser has heard, so "before" cannot be seen any more.
                self.separable = False
            if self._before is None:
                self._before = _state(handler), _prefixes(handler)
                self._base = handler.baseuri
        elif local.lower() in _SKIPS:
            self._skipping = True
        self._declared = False

    def ended(self, local: str, handler: Any) -> None:
        """An element ended; feedparser is done with it."""
        if local.lower() in _ITEMS:
            self.entries += 1
            # Without a base of the document's own, feedparser keeps the last entry's.
            handler.baseuri = self._base
            if (_state(handler), _prefixes(handler)) != self._before:
                self.separable = False
        elif local.lower() in _SKIPS:
            self._skipping = False
        elif self._skipping and len(self.skips) < MAX_SKIPS:
            said = dict.get(handler.feeddata, local.lower())
            self.skips += [said] if isinstance(said, str) else []


_watch: ContextVar[Watch] = ContextVar("watch")


@contextmanager
def watching() -> Iterator[Watch]:
    """Has feedparser read with this driver as long as the context lasts."""
    watch = Watch()
    token = _watch.set(watch)
    preferred = feedparser.api.PREFERRED_XML_PARSERS
    before = preferred[:]
    preferred[:] = [__name__]
    try:
        yield watch
    finally:
        preferred[:] = before
        _watch.reset(token)


def create_parser() -> "Driver":
    """What `xml.sax.make_parser` asks a driver's module for."""
    return Driver(_watch.get())


class Driver(ExpatParser):
    """expat as feedparser uses it: with name spaces, reporting to a `Watch`."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch
        self._depth = 0

    def reset(self) -> None:
        """Makes the expat parser."""
        super().reset()
        parser = vars(self)["_parser"]
        parser.buffer_text = True
        parser.buffer_size = 65_536

    def start_namespace_decl(self, prefix: str | None, uri: str) -> None:
        """A prefix, None for the default name space, stands for ``uri`` from here on."""
        self._watch.declared(prefix)
        super().start_namespace_decl(prefix, uri)

    def start_element_ns(self, name: str, attrs: Mapping[str, str]) -> None:
        """An element starts. Names are ``uri local prefix``, the first and last optional.

        Raises:
            TooMuch: feedparser is not to see more of this document.
        """
        self._depth += 1
        if len(attrs) > MAX_ATTRIBUTES or self._depth > MAX_DEPTH:
            raise TooMuch
        handler: Any = self.getContentHandler()
        pair = _pair(name)
        self._watch.started(pair[1], handler)
        if self._watch.begun > MAX_ITEMS:
            raise TooMuch
        handler.startElementNS(pair, None, _Attributes(attrs))

    def end_element_ns(self, name: str) -> None:
        """An element ends."""
        self._depth -= 1
        handler: Any = self.getContentHandler()
        pair = _pair(name)
        handler.endElementNS(pair, None)
        self._watch.ended(pair[1], handler)


class _Attributes(AttributesNSImpl):
    """Attributes whose values are found by name at once; the library's go over all of them."""

    def __init__(self, attrs: Mapping[str, str]) -> None:
        values: dict[Name, str] = {}
        names: dict[Name, str] = {}
        self._by_name: dict[str, str] = {}
        for name, value in attrs.items():
            parts = name.split()
            pair = _pair(name)
            spelt = f"{parts[2]}:{parts[1]}" if len(parts) == 3 else pair[1]
            values[pair], names[pair] = value, spelt
            self._by_name.setdefault(spelt, value)
        super().__init__(values, names)

    def getValueByQName(self, name: str) -> str:
        """The value of the attribute that is spelt so in the document."""
        return self._by_name[name]


def _pair(name: str) -> Name:
    parts = name.split()
    return (None, name) if len(parts) == 1 else (parts[0], parts[1])


def _state(handler: object) -> State:
    """What feedparser reads an entry with, prefixes apart."""
    return {
        name: value.copy() if isinstance(value, dict | list) else value
        for name, value in vars(handler).items()
        if name not in _LEFT_OUT
    }


def _prefixes(handler: Any) -> State:
    """The prefixes whose meaning an entry could change for the entries after it.

    A prefix that stands for itself, the default name space and the list of known name spaces
    are never looked up in a way that matters.
    """
    kept: State = {
        f"{prefix}:": known
        for prefix, known in handler.namespacemap.items()
        if prefix is not None and prefix != known
    }
    for prefix, uri in handler.namespaces_in_use.items():
        if prefix and uri.lower() not in _KNOWN:
            kept[prefix] = uri
    return kept
