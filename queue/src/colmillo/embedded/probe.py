"""Asks a server whether it takes connections, in the first bytes of its own protocol."""

import socket
import struct

from colmillo.embedded.errors import EmbeddedError

PORT = 5432
USER = "postgres"
SOCKET_NAME = f".s.PGSQL.{PORT}"
_PROTOCOL_3 = 196608
_TERMINATE = b"X\x00\x00\x00\x04"
_PATIENCE_SECONDS = 5.0


def accepts(folder: str) -> bool:
    """Whether the server with its socket in ``folder`` takes connections.

    False while nobody listens and while it starts up or shuts down (SQLSTATE 57P03). A server
    that refuses for another reason, such as too many connections, is there: True.

    Raises:
        EmbeddedError: this user may not open the socket.
    """
    body = struct.pack("!i", _PROTOCOL_3) + f"user\0{USER}\0database\0postgres\0\0".encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE_SECONDS)
        try:
            connection.connect(f"{folder}/{SOCKET_NAME}")
            connection.sendall(struct.pack("!i", len(body) + 4) + body)
            answer = connection.recv(4096)
            if answer.startswith(b"R"):
                connection.sendall(_TERMINATE)
        except PermissionError as error:
            raise EmbeddedError(
                f"the server in {folder} belongs to another user; run the program as that user"
            ) from error
        except OSError:
            return False
    return answer.startswith(b"R") or (answer.startswith(b"E") and b"\0C57P03\0" not in answer)
