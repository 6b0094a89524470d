"""Session descriptions as text (RFC 8866): parse and render, every line type kept.

What comes in is read with some tolerance (a bare LF, lines out of order within their level, s= or t= left
out), but never guessed at: a line that is no `type=value`, an unknown type, a line at the wrong level is an
SdpError.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from pbx.sdp.errors import SdpError

MAX_BYTES: Final = 65536
MAX_LINES: Final = 4000
MAX_MEDIA: Final = 32
MAX_ATTRIBUTES: Final = 2000


class Origin(NamedTuple):
    """o= (RFC 8866 §5.2)."""

    username: str
    session_id: str
    version: str
    network: str
    address_type: str
    address: str

    def render(self) -> str:
        return " ".join(self)


class Connection(NamedTuple):
    """c= (RFC 8866 §5.7); the address may carry a multicast TTL and count."""

    network: str
    address_type: str
    address: str

    def render(self) -> str:
        return " ".join(self)


class Timing(NamedTuple):
    """t= with its r= lines (RFC 8866 §5.9, §5.10), both as written."""

    active: str
    repeats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """m= and what belongs to it (RFC 8866 §5.14). Attributes are kept as written, "name" or "name:value"."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    port_count: int = 1
    information: str | None = None
    connections: tuple[Connection, ...] = ()
    bandwidths: tuple[str, ...] = ()
    key: str | None = None
    attributes: tuple[str, ...] = ()

    def attribute(self, name: str) -> str | None:
        """The value of the first attribute of that name, "" for one without a value."""
        return first_value(self.attributes, name)

    def lines(self) -> list[str]:
        port = f"{self.port}/{self.port_count}" if self.port_count != 1 else str(self.port)
        lines = [f"m={self.kind} {port} {self.protocol} {' '.join(self.formats)}"]
        if self.information is not None:
            lines.append(f"i={self.information}")
        lines += [f"c={connection.render()}" for connection in self.connections]
        lines += [f"b={bandwidth}" for bandwidth in self.bandwidths]
        if self.key is not None:
            lines.append(f"k={self.key}")
        lines += [f"a={attribute}" for attribute in self.attributes]
        return lines


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description (RFC 8866 §5)."""

    origin: Origin
    name: str = "-"
    information: str | None = None
    uri: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    connection: Connection | None = None
    bandwidths: tuple[str, ...] = ()
    timings: tuple[Timing, ...] = (Timing("0 0"),)
    zones: str | None = None
    key: str | None = None
    attributes: tuple[str, ...] = ()
    media: tuple[MediaDescription, ...] = ()

    @staticmethod
    def parse(body: bytes) -> "SessionDescription":
        """Read a body.

        Raises:
            SdpError: whatever else is not a session description.
        """
        return _parse(_split(body))

    def attribute(self, name: str) -> str | None:
        """The value of the first session-level attribute of that name, "" for one without a value."""
        return first_value(self.attributes, name)

    def render(self) -> bytes:
        lines = ["v=0", f"o={self.origin.render()}", f"s={self.name}"]
        if self.information is not None:
            lines.append(f"i={self.information}")
        if self.uri is not None:
            lines.append(f"u={self.uri}")
        lines += [f"e={email}" for email in self.emails]
        lines += [f"p={phone}" for phone in self.phones]
        if self.connection is not None:
            lines.append(f"c={self.connection.render()}")
        lines += [f"b={bandwidth}" for bandwidth in self.bandwidths]
        for timing in self.timings:
            lines.append(f"t={timing.active}")
            lines += [f"r={repeat}" for repeat in timing.repeats]
        if self.zones is not None:
            lines.append(f"z={self.zones}")
        if self.key is not None:
            lines.append(f"k={self.key}")
        lines += [f"a={attribute}" for attribute in self.attributes]
        for media in self.media:
            lines += media.lines()
        lines.append("")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def first_value(attributes: tuple[str, ...], name: str) -> str | None:
    for attribute in attributes:
        found, _, value = attribute.partition(":")
        if found == name:
            return value
    return None


def _split(body: bytes) -> list[str]:
    """The lines of a body, their framing checked."""
    if len(body) > MAX_BYTES:
        raise SdpError(f"session description of {len(body)} bytes is too large")
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    if "\r" in text or "\0" in text:
        raise SdpError("session description holds a stray CR or NUL")
    lines = text.rstrip("\n").split("\n")
    if len(lines) > MAX_LINES:
        raise SdpError(f"session description of {len(lines)} lines is too long")
    return lines


def _parse(lines: list[str]) -> SessionDescription:
    if lines[0] != "v=0":
        raise SdpError(f"session description starts with {lines[0][:20]!r}, not v=0")
    if len(lines) < 2 or not lines[1].startswith("o="):
        raise SdpError("session description has no o= line after v=0")
    starts = [number for number, line in enumerate(lines) if line[:2] == "m="]
    if len(starts) > MAX_MEDIA:
        raise SdpError(f"session description has {len(starts)} media lines")
    if sum(line[:2] == "a=" for line in lines) > MAX_ATTRIBUTES:
        raise SdpError("session description has too many attributes")
    ends = [*starts[1:], len(lines)]
    media = tuple([_parse_media(lines, start, end) for start, end in zip(starts, ends, strict=True)])
    return _parse_session(lines[1 : starts[0] if starts else len(lines)], media)


def _parse_session(lines: list[str], media: tuple[MediaDescription, ...]) -> SessionDescription:
    single: dict[str, str] = {}
    many: dict[str, list[str]] = {"e": [], "p": [], "b": [], "a": []}
    timings: list[Timing] = []
    for line in lines:
        letter, value = line[:1], line[2:]
        if line[1:2] != "=":
            raise SdpError(f"{line[:20]!r} is no line of a session description")
        if letter in many:
            if value:
                many[letter].append(value)
        elif letter == "t":
            timings.append(Timing(value))
        elif letter == "r":
            if not timings:
                raise SdpError("r= before any t=")
            timings[-1] = Timing(timings[-1].active, (*timings[-1].repeats, value))
        elif letter in "osiuczk" and letter not in single:
            single[letter] = value
        else:
            raise SdpError(f"{line[:20]!r} is unknown or given twice")
    connection = single.get("c")
    return SessionDescription(
        origin=_parse_origin(single["o"]),
        name=single.get("s") or "-",
        information=single.get("i"),
        uri=single.get("u"),
        emails=tuple(many["e"]),
        phones=tuple(many["p"]),
        connection=None if connection is None else _parse_connection(connection),
        bandwidths=tuple(many["b"]),
        timings=tuple(timings) or (Timing("0 0"),),
        zones=single.get("z"),
        key=single.get("k"),
        attributes=tuple(many["a"]),
        media=media,
    )


def _parse_media(lines: list[str], start: int, end: int) -> MediaDescription:
    words = lines[start][2:].split()
    if len(words) < 3:
        raise SdpError(f"{lines[start][:40]!r} is incomplete")
    kind, port_text, protocol, *formats = words
    port_word, slash, count_word = port_text.partition("/")
    port = parse_number(port_word, 65535)
    port_count = parse_number(count_word, 65535) if slash else 1
    if port is None or not port_count:
        raise SdpError(f"{lines[start][:40]!r} has no port number")
    if not formats:
        if port:
            raise SdpError(f"{lines[start][:40]!r} has no format")
        formats = ["0"]  # some phones refuse a line like this; the grammar wants one format
    attributes: list[str] = []
    connections: list[Connection] = []
    bandwidths: list[str] = []
    single: dict[str, str] = {}
    for line in lines[start + 1 : end]:
        prefix = line[:2]
        if prefix == "a=":
            if len(line) > 2:
                attributes.append(line[2:])
        elif prefix == "c=":
            connections.append(_parse_connection(line[2:]))
        elif prefix == "b=":
            bandwidths.append(line[2:])
        elif prefix in ("i=", "k=") and prefix not in single:
            single[prefix] = line[2:]
        else:
            raise SdpError(f"{line[:20]!r} does not belong below m=")
    return MediaDescription(
        kind,
        port,
        protocol,
        tuple(formats),
        port_count,
        single.get("i="),
        tuple(connections),
        tuple(bandwidths),
        single.get("k="),
        tuple(attributes),
    )


def _parse_origin(value: str) -> Origin:
    words = value.rsplit(None, 5)  # from the right: some phones write a user name with spaces
    if len(words) != 6:
        raise SdpError(f"o={value[:60]!r} has not six words")
    username, session_id, version, network, address_type, address = words
    return Origin(username, session_id, version, network, address_type, address)


def _parse_connection(value: str) -> Connection:
    words = value.split()
    if len(words) != 3:
        raise SdpError(f"c={value[:60]!r} has not three words")
    return Connection(words[0], words[1], words[2])


def parse_number(text: str, most: int) -> int | None:
    """Decimal digits up to `most`, else None; int() alone would take signs, blanks and underscores."""
    if not text or len(text) > 10 or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= most else None
