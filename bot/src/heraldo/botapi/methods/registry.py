"""The methods by name; their modules add themselves with @method."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from heraldo.botapi.params import Params
from heraldo.botapi.world import World

Handler: TypeAlias = Callable[[World, Params], Awaitable[object]]

METHODS: dict[str, Handler] = {}
"""Handlers by the method's name in lower case."""


def method(name: str) -> Callable[[Handler], Handler]:
    """Makes a function answer the method; it returns the result or raises Rejected."""

    def register(handler: Handler) -> Handler:
        METHODS[name.lower()] = handler
        return handler

    return register
