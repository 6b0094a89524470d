"""The sockets of an endpoint, as the loop of a media worker makes and watches them."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

Handler: TypeAlias = Callable[[float], None]  # gets the time


class Socket(Protocol):
    """A non-blocking UDP socket."""

    def recv(self, size: int, /) -> bytes: ...
    def recv_into(self, buffer: bytearray, /) -> int: ...
    def recvfrom(self, size: int, /) -> tuple[bytes, Any]: ...
    def send(self, data: bytes | memoryview, /) -> int: ...
    def sendto(self, data: bytes, address: Any, /) -> int: ...
    def connect(self, address: Any, /) -> None: ...
    def close(self) -> None: ...


class Net(Protocol):
    """What an endpoint needs of the world; the worker's loop is one."""

    def bind(self, address: str, port: int, *, has_bursts: bool = False) -> Socket:
        """A socket of ours alone; OSError when somebody has the port."""
        ...

    def share(self, first: Socket, address: str, port: int) -> Socket:
        """A second socket on the port of `first`, which gets what no connected socket takes."""
        ...

    def watch(self, sock: Socket, handler: Handler) -> None:
        """Call `handler` with the time whenever `sock` can be read; replaces the handler before."""
        ...

    def unwatch(self, sock: Socket) -> None: ...

    def close(self, sock: Socket) -> None:
        """Close a socket, watched or not."""
        ...
