"""A function's parameters as a payload: bound, checked and written; read, checked and passed."""

import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from colmillo.codec import codec_for
from colmillo.context import Context
from colmillo.errors import InvalidTask
from colmillo.payload import RESERVED
from colmillo.scalars import Codec
from colmillo.threads import ThreadContext

CONTEXTS: dict[str, type] = {kind.__name__: kind for kind in (Context, ThreadContext)}
WHICH_CONTEXT = (
    "an async function takes a Context, one in a thread a ThreadContext, "
    "and one in a process neither"
)
_decode = json.JSONDecoder().raw_decode
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Arguments:
    """The parameters of a task's function, a leading context left out.

    ``context`` is the class that the function may ask for first, if any.

    Raises:
        InvalidTask: a parameter that cannot be carried as JSON, has no annotation, or whose
            default does not fit it; a context of another class.
    """

    def __init__(self, function: Callable[..., Any], context: type | None = Context) -> None:
        parameters = list(inspect.signature(function).parameters.values())
        asked = context_of(parameters[0], function) if parameters else None
        if asked is not None and asked is not context:
            raise InvalidTask(WHICH_CONTEXT)
        self.takes_context = asked is not None
        taken = parameters[1:] if self.takes_context else parameters
        self.signature = inspect.Signature(taken)
        self.codecs: dict[str, Codec] = {}
        for parameter in taken:
            if parameter.kind not in BY_NAME:
                raise InvalidTask(f"{parameter}: a task's arguments are passed by name")
            codec = codec_for(resolve(parameter, function), parameter.name)
            if parameter.default is not parameter.empty:
                codec.encode(parameter.default, f"{parameter.name} (its default)")
            self.codecs[parameter.name] = codec
        self._places = [it.name for it in taken if it.kind is not it.KEYWORD_ONLY]
        self._defaults = {it.name: it.default for it in taken}
        self._required = frozenset(it.name for it in taken if it.default is it.empty)

    def write(self, *args: object, **kwargs: object) -> dict[str, object]:
        """Returns the arguments as JSON values by name, defaults filled in."""
        codecs = self.codecs
        return {name: codecs[name].encode(v, name) for name, v in self._bound(args, kwargs).items()}

    def _bound(self, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
        """The values by name, in the order of the declaration, defaults filled in.

        `inspect` does the same in ten times as long: it is asked when something does not fit.
        """
        given = dict(zip(self._places, args, strict=False)) | kwargs if args else kwargs
        values = self._defaults | given
        # None too many by position, none passed both ways, none unknown, none missing.
        passed = len(given) == len(args) + len(kwargs) and len(values) == len(self.codecs)
        if passed and self._required <= given.keys():
            return values
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidTask(str(error)) from None
        bound.apply_defaults()
        return bound.arguments

    def read(self, payload: str) -> dict[str, object]:
        """Returns the arguments of a payload; one that is missing takes its default.

        What stands beside them under a reserved name, as headers do, is left out.

        Raises:
            InvalidTask: the payload was written for other parameters than these.
        """
        given = parsed(payload)
        if not isinstance(given, dict):
            raise InvalidTask("the payload is no JSON object")
        if given.keys() != self.codecs.keys():
            given = {name: given[name] for name in given if not name.startswith(RESERVED)}
            self._check_names(given)
        codecs = self.codecs
        return {name: codecs[name].decode(value, name) for name, value in given.items()}

    def _check_names(self, given: Mapping[str, object]) -> None:
        for name in given.keys() - self.codecs.keys():
            raise InvalidTask(f"{name}: no such parameter")
        for name, parameter in self.signature.parameters.items():
            if name not in given and parameter.default is parameter.empty:
                raise InvalidTask(f"{name}: missing")

    def shape(self) -> dict[str, str]:
        """The parameters and their types, as people write them."""
        return {name: codec.name for name, codec in self.codecs.items()}


def parsed(payload: str) -> Any:
    """The JSON value of a payload. Raises `InvalidTask` when it is none."""
    try:
        # The half of json.loads that is needed for a payload as `payload_text` writes it.
        value, end = _decode(payload)
        return value if end == len(payload) else json.loads(payload)
    except ValueError:
        # One that another program wrote may begin with white space.
        try:
            return json.loads(payload)
        except ValueError:
            raise InvalidTask("the payload is no JSON") from None


def context_of(parameter: inspect.Parameter, function: Callable[..., Any]) -> type | None:
    """The class of context that the parameter takes, if it takes one."""
    annotation = parameter.annotation
    if isinstance(annotation, str):
        # By its spelling: what is in the brackets may exist for type checkers only.
        head = re.match(r"[\w.]+", annotation)
        if head is None or head[0].rsplit(".", 1)[-1] not in CONTEXTS:
            return None
        annotation = resolve(parameter.replace(annotation=head[0]), function)
    kind = typing.get_origin(annotation) or annotation
    return kind if kind in CONTEXTS.values() else None


def resolve(parameter: inspect.Parameter, function: Callable[..., Any]) -> Any:
    """The parameter's annotation, looked up where the function was written if it is text."""
    if parameter.annotation is parameter.empty:
        raise InvalidTask(f"{parameter.name}: needs a type annotation")
    holder = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, names, include_extras=True)[parameter.name]
    except NameError as error:
        raise InvalidTask(f"{parameter.name}: {error}, needed at run time") from None
