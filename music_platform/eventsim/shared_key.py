"""The greeting of Fluentd's forward protocol by which both sides show that they know a shared key.

Source: Fluentd's wiki, Forward Protocol Specification v1, Handshake Messages. What is sent after it stands in sinks.py.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
from typing import Any

import msgpack

from music_platform.eventsim.errors import SinkError

GREETING = "HELO"


def greet(connection: socket.socket, shared_key: str) -> None:
    """Answer the receiver's greeting, so that it takes messages from this connection.

    Raises ``SinkError`` when the receiver refuses the key or does not know it itself, ``OSError`` when it does not answer.
    """
    unpacker = msgpack.Unpacker(raw=True)  # the nonce is bytes
    try:
        greeting = _receive(connection, unpacker)
    except TimeoutError as error:
        raise ConnectionError("the receiver sent no greeting; it may have no shared key") from error
    if len(greeting) != 2 or greeting[0] != GREETING.encode() or not isinstance(greeting[1], dict):
        raise ConnectionError("what the receiver sent is no greeting")
    nonce = greeting[1].get(b"nonce", b"")
    name, salt, key = socket.gethostname(), secrets.token_hex(16), shared_key.encode()
    ping = ["PING", name, salt, _digest(salt.encode(), name.encode(), nonce, key), "", ""]
    connection.sendall(msgpack.packb(ping) or b"")
    answer = _receive(connection, unpacker)
    if len(answer) != 5 or answer[0] != b"PONG":
        raise ConnectionError("what the receiver sent is no answer to a shared key")
    _, is_taken, reason, receiver, digest = answer
    if not is_taken:
        raise SinkError(
            f"The receiver refuses the shared key ({reason.decode(errors='replace')}). Check "
            "MUSIC_PLATFORM_FORWARD_SHARED_KEY."
        )
    if digest.decode(errors="replace") != _digest(salt.encode(), receiver, nonce, key):
        raise SinkError("The receiver does not know the shared key itself. Check --sink and whom it reaches.")


def _receive(connection: socket.socket, unpacker: msgpack.Unpacker) -> list[Any]:
    while received := connection.recv(4_096):
        unpacker.feed(received)
        for message in unpacker:
            return message if isinstance(message, list) else []
    raise ConnectionError("the connection was closed before the shared key was agreed on")


def _digest(*parts: bytes) -> str:
    return hashlib.sha512(b"".join(parts)).hexdigest()
