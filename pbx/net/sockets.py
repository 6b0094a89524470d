"""Listening sockets: where, and what to tell the administrator when it cannot be."""

import errno
import os
import socket
from typing import Final, NamedTuple

from pbx.address import hostport
from pbx.errors import ConfigError
from pbx.net.addresses import parse_ip

BACKLOG: Final = 512
# The kernel takes twice that, and counts its own overhead: room for 1,800 INVITEs. So much outlasts a garbage
# collection, and is worked off in a third of a second: in overload nothing waits until it is repeated (T1).
BUFFER_BYTES: Final = 2 * 1024 * 1024
# Of a stream, and of those accepted on it: its sender waits by itself when it is full, at about 60 messages.
STREAM_BYTES: Final = 64 * 1024
SO_RCVBUFFORCE: Final = 33  # <asm-generic/socket.h>; the socket module does not name it


class Endpoint(NamedTuple):
    """A local address and port to listen on, and the setting that says so."""

    host: str
    port: int
    key: str

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def is_wildcard(self) -> bool:
        return self.host in ("0.0.0.0", "::")  # noqa: S104

    def __str__(self) -> str:
        return hostport(self.host, self.port)


def parse_endpoint(text: str, key: str) -> Endpoint:
    """Read "192.0.2.1:5060" or "[::]:5060".

    Raises:
        ConfigError: no literal address, or no port from 0 to 65535.
    """
    host, colon, digits = text.strip().rpartition(":")
    address = parse_ip(host)
    if not colon or address is None or (":" in host) != host.startswith("["):
        raise ConfigError(
            key, text, 'give an address of this machine and a port, like "0.0.0.0:5060" or "[::]:5060"'
        )
    if not (digits.isascii() and digits.isdigit() and int(digits) <= 0xFFFF):
        raise ConfigError(key, text, f"{digits!r} is no port number from 0 to 65535")
    return Endpoint(host.strip("[]"), int(digits), key)


def listen(endpoint: Endpoint, kind: socket.SocketKind) -> socket.socket:
    """A bound, non-blocking socket; a stream socket listens.

    Raises:
        ConfigError: the system refuses, with the reason and the way out in words.
    """
    try:
        listener = socket.socket(endpoint.family, kind)
    except OSError as error:
        raise _explain(endpoint, error) from error
    try:
        if endpoint.family == socket.AF_INET6:
            # "[::]:5060" and "0.0.0.0:5060" stand side by side.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STREAM_BYTES)
        else:
            try:
                listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
            except PermissionError:  # no CAP_NET_ADMIN: as much of it as net.core.rmem_max allows
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        listener.setblocking(False)
        listener.bind((endpoint.host, endpoint.port))
        if kind == socket.SOCK_STREAM:
            listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _explain(endpoint, error) from error
    return listener


def _explain(endpoint: Endpoint, error: OSError) -> ConfigError:
    section, _, name = endpoint.key.partition(".")
    port = endpoint.port
    elsewhere = endpoint._replace(port=port + 2 if 1024 <= port < 65534 else 5070)
    other = f'{name} = ["{elsewhere}"] under [{section}] in pbx.toml'
    why = {
        errno.EADDRINUSE: f"port {port} is taken by another program; stop that, or set {other}",
        errno.EADDRNOTAVAIL: f"{endpoint.host} is no address of this machine; "
        f'to listen on all of them set {name} = ["{_wildcard(endpoint)}"] under [{section}]',
        errno.EACCES: f"this user may not open port {port}; run as root, or set {other}",
        errno.EPERM: f"this user may not open port {port}; run as root, or set {other}",
        errno.EAFNOSUPPORT: f"this machine has no {'IPv6' if ':' in endpoint.host else 'IPv4'}; "
        f"take the address out of {name} under [{section}]",
    }.get(error.errno or 0, f"{os.strerror(error.errno or 0)}; change {name} under [{section}]")
    return ConfigError(endpoint.key, str(endpoint), why)


def _wildcard(endpoint: Endpoint) -> Endpoint:
    return endpoint._replace(host="::" if ":" in endpoint.host else "0.0.0.0")  # noqa: S104
