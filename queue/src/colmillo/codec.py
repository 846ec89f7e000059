"""The codec for a type annotation: `codec_for`. What it cannot carry is refused at declaration."""

import dataclasses
import enum
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NewType, Union

from colmillo.errors import InvalidTask
from colmillo.scalars import SCALARS, Codec, kind_of, mismatch

OBJECT = frozenset({"object"})
ARRAY = frozenset({"array"})


@dataclass(frozen=True, slots=True)
class ListCodec:
    """``list[T]``."""

    item: Codec
    kinds: frozenset[str] = ARRAY

    @property
    def name(self) -> str:
        """The type as people write it."""
        return f"list[{self.item.name}]"

    def encode(self, value: object, path: str) -> object:
        """Returns a JSON array."""
        return [self.item.encode(v, f"{path}[{n}]") for n, v in enumerate(self.items(value, path))]

    def decode(self, value: object, path: str) -> object:
        """Returns a list."""
        return [self.item.decode(v, f"{path}[{n}]") for n, v in enumerate(self.items(value, path))]

    def items(self, value: object, path: str) -> list[Any]:
        """The value, if it is a list."""
        if not isinstance(value, list):
            raise mismatch(path, self.name, value)
        return value


@dataclass(frozen=True, slots=True)
class TupleCodec:
    """``tuple[A, B]`` with a fixed length, or ``tuple[T, ...]`` when ``rest`` is given."""

    members: tuple[Codec, ...]
    rest: Codec | None = None
    kinds: frozenset[str] = ARRAY

    @property
    def name(self) -> str:
        """The type as people write it."""
        if self.rest is not None:
            return f"tuple[{self.rest.name}, ...]"
        return f"tuple[{', '.join(member.name for member in self.members) or '()'}]"

    def encode(self, value: object, path: str) -> object:
        """Returns a JSON array."""
        if not isinstance(value, tuple):
            raise mismatch(path, self.name, value)
        codecs = self.codecs(len(value), path)
        return [
            c.encode(v, f"{path}[{n}]") for n, (c, v) in enumerate(zip(codecs, value, strict=True))
        ]

    def decode(self, value: object, path: str) -> object:
        """Returns a tuple."""
        if not isinstance(value, list):
            raise mismatch(path, self.name, value)
        codecs = self.codecs(len(value), path)
        return tuple(
            c.decode(v, f"{path}[{n}]") for n, (c, v) in enumerate(zip(codecs, value, strict=True))
        )

    def codecs(self, length: int, path: str) -> tuple[Codec, ...]:
        """One codec for each place."""
        if self.rest is not None:
            return (self.rest,) * length
        if length != len(self.members):
            raise InvalidTask(f"{path}: expected {len(self.members)} items, got {length}")
        return self.members


@dataclass(frozen=True, slots=True)
class DictCodec:
    """``dict[str, T]``."""

    item: Codec
    kinds: frozenset[str] = OBJECT

    @property
    def name(self) -> str:
        """The type as people write it."""
        return f"dict[str, {self.item.name}]"

    def encode(self, value: object, path: str) -> object:
        """Returns a JSON object."""
        return {
            SCALARS[str].encode(k, f"{path} (a key)"): self.item.encode(v, f"{path}[{k!r:.40}]")
            for k, v in self.items(value, path).items()
        }

    def decode(self, value: object, path: str) -> object:
        """Returns a dict."""
        return {
            k: self.item.decode(v, f"{path}[{k!r:.40}]") for k, v in self.items(value, path).items()
        }

    def items(self, value: object, path: str) -> dict[Any, Any]:
        """The value, if it is a dict."""
        if not isinstance(value, dict):
            raise mismatch(path, self.name, value)
        return value


@dataclass(frozen=True, slots=True)
class ChoiceCodec:
    """A closed set: the members of an Enum (carried by value) or of a ``Literal``."""

    name: str
    choices: tuple[tuple[object, Any], ...]
    kinds: frozenset[str]

    def encode(self, value: object, path: str) -> object:
        """Returns the JSON value that stands for this member."""
        for written, member in self.choices:
            if type(value) is type(member) and value == member:
                return written
        raise mismatch(path, self.name, value)

    def decode(self, value: object, path: str) -> object:
        """Returns the member."""
        for written, member in self.choices:
            if type(value) is type(written) and value == written:
                return member
        raise InvalidTask(f"{path}: not one of {self.name}")


@dataclass(frozen=True, slots=True)
class UnionCodec:
    """One of several types whose JSON shapes differ."""

    members: tuple[Codec, ...]

    @property
    def name(self) -> str:
        """The type as people write it."""
        return " | ".join(member.name for member in self.members)

    @property
    def kinds(self) -> frozenset[str]:
        """The shapes of all members."""
        return frozenset[str]().union(*(member.kinds for member in self.members))

    def encode(self, value: object, path: str) -> object:
        """Returns what the first member makes of it that takes it."""
        complaints: list[InvalidTask] = []
        for member in self.members:
            try:
                return member.encode(value, path)
            except InvalidTask as complaint:
                complaints.append(complaint)
        # A complaint from deeper inside says more than "not one of these types".
        for inner in complaints:
            if not inner.detail.startswith(f"{path}: expected"):
                raise inner
        raise mismatch(path, self.name, value)

    def decode(self, value: object, path: str) -> object:
        """Returns what the member of this JSON shape makes of it."""
        kind = kind_of(value)
        for member in self.members:
            if kind in member.kinds:
                return member.decode(value, path)
        raise mismatch(path, self.name, value)


@dataclass(frozen=True, slots=True)
class RecordCodec:
    """A frozen dataclass, as an object of its fields."""

    record: type[Any]
    fields: dict[str, Codec]
    required: frozenset[str]
    kinds: frozenset[str] = OBJECT

    @property
    def name(self) -> str:
        """The class's name."""
        return self.record.__name__

    def encode(self, value: object, path: str) -> object:
        """Returns a JSON object."""
        if type(value) is not self.record:
            raise mismatch(path, self.name, value)
        return {k: c.encode(getattr(value, k), f"{path}.{k}") for k, c in self.fields.items()}

    def decode(self, value: object, path: str) -> object:
        """Returns an instance. A field that is missing takes its default."""
        if not isinstance(value, dict):
            raise mismatch(path, self.name, value)
        given: dict[Any, Any] = value
        for key in given.keys() - self.fields.keys():
            raise InvalidTask(f"{path}: {self.name} has no field {key!r:.40}")
        for key in self.required - given.keys():
            raise InvalidTask(f"{path}.{key}: missing")
        fields = {k: self.fields[k].decode(v, f"{path}.{k}") for k, v in given.items()}
        try:
            return self.record(**fields)
        except (TypeError, ValueError) as error:
            raise InvalidTask(f"{path}: {self.name} refused its fields: {error}") from error


def codec_for(annotation: Any, path: str, within: tuple[object, ...] = ()) -> Codec:
    """Returns the codec of an annotation; ``within`` are the dataclasses it is part of.

    Raises:
        InvalidTask: an annotation whose values JSON cannot carry there and back.
    """
    try:
        if annotation in SCALARS:
            return SCALARS[annotation]
    except TypeError:
        raise unsupported(annotation, path) from None
    if isinstance(annotation, NewType):
        return codec_for(annotation.__supertype__, path, within)
    origin = typing.get_origin(annotation)
    if origin is not None:
        return generic_codec(annotation, origin, path, within)
    if isinstance(annotation, type):
        if issubclass(annotation, enum.Enum):
            return enum_codec(annotation, path)
        if dataclasses.is_dataclass(annotation):
            return record_codec(annotation, path, within)
    raise unsupported(annotation, path)


def generic_codec(annotation: Any, origin: Any, path: str, within: tuple[object, ...]) -> Codec:
    """The codec of ``list[int]`` and everything else with brackets, unions included."""
    args = typing.get_args(annotation)
    if origin is Annotated:
        return codec_for(args[0], path, within)
    if origin is Literal:
        return choice_codec(f"Literal{list(args)!r}", [(arg, arg) for arg in args], path)
    if origin is Union or origin is types.UnionType:
        return union_codec([codec_for(arg, path, within) for arg in args], path)
    if origin is list:
        return ListCodec(codec_for(args[0], f"{path}[]", within))
    if origin is dict and args[0] is str:
        return DictCodec(codec_for(args[1], f"{path}[]", within))
    if origin is tuple:
        if len(args) == 2 and args[1] is ...:
            return TupleCodec((), codec_for(args[0], f"{path}[]", within))
        return TupleCodec(tuple(codec_for(a, f"{path}[{n}]", within) for n, a in enumerate(args)))
    raise unsupported(annotation, path)


def unsupported(annotation: object, path: str) -> InvalidTask:
    """The complaint about an annotation, with the remedy where there is an obvious one."""
    written = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    hints: dict[object, str] = {
        list: "; say what is in it, as in list[int]",
        tuple: "; say what is in it, as in tuple[int, ...]",
        dict: "; say what is in it, as in dict[str, int]",
        bytes: "; store large data elsewhere and pass its key",
        set: "; use a sorted tuple",
    }
    hint = hints.get(annotation, "") if isinstance(annotation, type) else ""
    return InvalidTask(f"{path}: arguments of type {written} cannot be carried{hint}")


def enum_codec(annotation: type[enum.Enum], path: str) -> Codec:
    """The codec of an Enum whose values are all text or whole numbers."""
    members = list(annotation.__members__.values())
    return choice_codec(annotation.__name__, [(member.value, member) for member in members], path)


def choice_codec(name: str, choices: list[tuple[Any, Any]], path: str) -> Codec:
    """The codec of a closed set of JSON scalars."""
    for written, _ in choices:
        if written is not None and type(written) not in (str, int, bool):
            raise InvalidTask(f"{path}: {name} has members that are neither text nor int")
    return ChoiceCodec(name, tuple(choices), frozenset(kind_of(written) for written, _ in choices))


def union_codec(members: list[Codec], path: str) -> Codec:
    """The codec of a union. Two members of one JSON shape could not be told apart."""
    seen: dict[str, Codec] = {}
    for member in members:
        for kind in member.kinds:
            if kind in seen:
                raise InvalidTask(
                    f"{path}: {seen[kind].name} and {member.name} look alike in JSON; "
                    "give each an argument of its own"
                )
            seen[kind] = member
    return UnionCodec(tuple(members))


def record_codec(annotation: Any, path: str, within: tuple[object, ...]) -> Codec:
    """The codec of a frozen dataclass."""
    if annotation in within:
        raise InvalidTask(f"{path}: {annotation.__name__} contains itself")
    if not annotation.__dataclass_params__.frozen:
        raise InvalidTask(f"{path}: {annotation.__name__} must be a frozen dataclass")
    hints = typing.get_type_hints(annotation, include_extras=True)
    codecs: dict[str, Codec] = {}
    required: set[str] = set()
    for field in dataclasses.fields(annotation):
        if not field.init:
            continue
        where = f"{path}.{field.name}"
        codecs[field.name] = codec_for(hints[field.name], where, (*within, annotation))
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.add(field.name)
    return RecordCodec(annotation, codecs, frozenset(required))
