"""Python imports this at its start when the folder is on PYTHONPATH: no process of a test reaches beyond this machine."""

import socket
from typing import Any

_connect, _getaddrinfo = socket.socket.connect, socket.getaddrinfo
_LOCAL = ("127.", "::1", "localhost")


def _guarded_connect(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(_LOCAL):
        raise RuntimeError(f"a test tried to reach {address}")
    _connect(self, address)


def _guarded_getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
    if host is not None and not str(host).startswith(_LOCAL):
        raise RuntimeError(f"a test tried to look up {host}")
    return _getaddrinfo(host, *rest, **named)


socket.socket.connect = _guarded_connect  # type: ignore[method-assign]
socket.getaddrinfo = _guarded_getaddrinfo
