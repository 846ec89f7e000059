"""A port for a program that has to be told one."""

import random
import socket

# Below those that the system gives to whoever asks for any: nobody gets it in the meantime.
_OURS = range(20_000, 30_000)


def free_port() -> int:
    """A port of 127.0.0.1 at which nobody listens."""
    for port in random.sample(_OURS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("a hundred ports, and none is free")
