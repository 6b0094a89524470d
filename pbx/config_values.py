"""What a value in pbx.toml may be, beside the kinds of value that office.toml has too (pbx.office.values)."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from pbx.address import hostport
from pbx.office.values import NotAllowedError, loose_network

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Listen(NamedTuple):
    """Where one socket listens; `host` is an IP address without brackets, port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return hostport(self.host, self.port)


class PortRange(NamedTuple):
    """The RTP ports from `low` to `high`, both even; the RTCP port is the next above each."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class ListenAddress:
    empty: bool = False

    def read(self, raw: object) -> Listen | None:
        if raw == "" and self.empty:
            return None
        place = (
            re.fullmatch(r"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]):([0-9]{1,5})", raw)
            if isinstance(raw, str)
            else None
        )
        try:
            if place is not None and int(place[3]) <= 65535:
                return Listen(str(ipaddress.ip_address(place[1] or place[2])), int(place[3]))
        except ValueError:
            pass
        raise NotAllowedError(
            'an IP address and port, such as "0.0.0.0:5060" or "[::]:5060"'
            + (', or ""' if self.empty else "")
        )


@dataclass(frozen=True, slots=True)
class NetworkAddress:
    def read(self, raw: object) -> IpNetwork:
        near = None
        if isinstance(raw, str):
            try:
                return ipaddress.ip_network(raw)
            except ValueError:
                near = loose_network(raw)
        raise NotAllowedError('a network, such as "10.0.0.0/8"', near)


@dataclass(frozen=True, slots=True)
class Ports:
    def read(self, raw: object) -> PortRange:
        if isinstance(raw, list) and len(raw) == 2 and all(type(port) is int for port in raw):
            low, high = raw
            if 1024 <= low < high <= 65534 and low % 2 == 0 and high % 2 == 0:
                return PortRange(low, high)
        raise NotAllowedError("two even ports from 1024 to 65534, the lower first, such as [16384, 32766]")


@dataclass(frozen=True, slots=True)
class Workers:
    def read(self, raw: object) -> int | None:
        if raw == "auto":
            return None
        if type(raw) is int and 1 <= raw <= 64:
            return raw
        raise NotAllowedError('"auto", or a whole number from 1 to 64')


@dataclass(frozen=True, slots=True)
class Advertise:
    def read(self, raw: object) -> str | None:
        if raw == "auto":
            return None
        try:
            return str(ipaddress.ip_address(raw if isinstance(raw, str) else ""))
        except ValueError:
            raise NotAllowedError('"auto", or an IP address such as "203.0.113.5"') from None


@dataclass(frozen=True, slots=True)
class Domain:
    def read(self, raw: object) -> str:
        pattern = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
        if not isinstance(raw, str) or len(raw) > 253 or re.fullmatch(pattern, raw) is None:
            raise NotAllowedError('a host name, such as "pbx.local"')
        return raw.lower()


@dataclass(frozen=True, slots=True)
class FilePath:
    """None where the file says ""."""

    empty: bool = True

    def read(self, raw: object) -> Path | None:
        if raw == "" and self.empty:
            return None
        if not isinstance(raw, str) or raw == "" or not raw.isprintable():
            raise NotAllowedError("a path" + (', or ""' if self.empty else ""))
        return Path(raw)


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    private = True

    def read(self, raw: object) -> str:
        if isinstance(raw, str) and raw.isprintable():
            if re.fullmatch(r"sqlite:///.+", raw):
                return raw
            try:
                parts = urlsplit(raw)
                port = parts.port
            except ValueError:
                port = 0
            else:
                if parts.scheme == "postgresql+psycopg" and port != 0:
                    return raw
        raise NotAllowedError('"sqlite:///" and a path, or "postgresql+psycopg://user:password@host/name"')


@dataclass(frozen=True, slots=True)
class RelayName:
    def read(self, raw: object) -> str:
        pattern = r"builtin|rtpengine:([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}"
        if not isinstance(raw, str) or re.fullmatch(pattern, raw) is None:
            raise NotAllowedError('"builtin", or "rtpengine:HOST:PORT"')
        return raw


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments; () where the file says [].

    Attributes:
        example: as it is written.
        fields: what the words may have in braces; () = braces mean nothing.
    """

    example: str
    fields: tuple[str, ...] = ()
    private: bool = False

    def read(self, raw: object) -> tuple[str, ...]:
        if isinstance(raw, list) and all(isinstance(word, str) and "\0" not in word for word in raw):
            named = {name for word in raw for name in re.findall(r"\{(\w*)\}", word)}
            if raw[:1] != [""] and (not self.fields or named <= set(self.fields)):
                return tuple(raw)
        allowed = f"a list of a program and its arguments, such as {self.example}, or []"
        if self.fields:
            allowed += f"; these may have {', '.join(f'{{{name}}}' for name in self.fields)} in them"
        raise NotAllowedError(allowed)
