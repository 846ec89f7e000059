"""What makes two tasks the same task: a SHA-256 over canonical JSON."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unique:
    """At most one live task per value of these arguments (all of them when None)."""

    args: tuple[str, ...] | None = None


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def args_hash(name: str, queue: str, args: Mapping[str, object]) -> bytes:
    """The 32 bytes that stand for this task with these (JSON) arguments."""
    return digest(["args", name, queue, args])


def key_hash(name: str, queue: str, key: str) -> bytes:
    """The 32 bytes that stand for this task under an explicit key."""
    return digest(["key", name, queue, key])


def digest(parts: list[object]) -> bytes:
    """SHA-256 of the parts' canonical JSON. A lone surrogate is hashed, not refused."""
    return hashlib.sha256(canonical(parts).encode("utf-8", "surrogatepass")).digest()
