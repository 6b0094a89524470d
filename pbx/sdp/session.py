"""Session descriptions as text (RFC 8866): parse and render, every line type kept.

What comes in is read with some tolerance (a bare LF, lines out of order within their level, s= or t= left
out), but never guessed at: a line that is no `type=value`, an unknown type, a line at the wrong level is an
SdpError.
"""

from typing import Final, NamedTuple

from pbx.sdp.errors import SdpError

MAX_BYTES: Final = 65536
MAX_LINES: Final = 4000
MAX_MEDIA: Final = 32
MAX_ATTRIBUTES: Final = 2000

SINGLE: Final = frozenset({"s=", "i=", "u=", "c=", "z=", "k="})  # at most one of each for the session
MANY: Final = frozenset({"e=", "p=", "b="})


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


ALWAYS: Final = (Timing("0 0"),)


class MediaDescription(NamedTuple):
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


class SessionDescription(NamedTuple):
    """A whole description (RFC 8866 §5)."""

    origin: Origin
    name: str = "-"
    information: str | None = None
    uri: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    connection: Connection | None = None
    bandwidths: tuple[str, ...] = ()
    timings: tuple[Timing, ...] = ALWAYS
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
        return _parse(_decode(body))

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


def _decode(body: bytes) -> str:
    """The body as text with bare LF, its framing and size checked."""
    if len(body) > MAX_BYTES:
        raise SdpError(f"session description of {len(body)} bytes is too large")
    text = body.decode("utf-8", "surrogateescape").replace("\r\n", "\n").rstrip("\n")
    if "\r" in text or "\0" in text:
        raise SdpError("session description holds a stray CR or NUL")
    if text.count("\n") >= MAX_LINES:
        raise SdpError("session description has too many lines")
    return text


def _parse(text: str) -> SessionDescription:
    head, *sections = text.split("\nm=")
    if len(sections) > MAX_MEDIA:
        raise SdpError(f"session description has {len(sections)} media lines")
    if text.count("\na=") > MAX_ATTRIBUTES:
        raise SdpError("session description has too many attributes")
    return _parse_session(head.split("\n"), tuple([_parse_media(section) for section in sections]))


def _parse_session(lines: list[str], media: tuple[MediaDescription, ...]) -> SessionDescription:
    if lines[0] != "v=0":
        raise SdpError(f"session description starts with {lines[0][:20]!r}, not v=0")
    if len(lines) < 2 or lines[1][:2] != "o=":
        raise SdpError("session description has no o= line after v=0")
    single: dict[str, str] = {}
    attributes: list[str] = []
    timings: list[Timing] = []
    many: dict[str, list[str]] = {}
    for line in lines[2:]:
        prefix = line[:2]
        if prefix == "a=":
            if len(line) > 2:
                attributes.append(line[2:])
        elif prefix == "t=":
            timings.append(Timing(line[2:]))
        elif prefix in SINGLE and prefix not in single:
            single[prefix] = line[2:]
        elif prefix in MANY:
            if len(line) > 2:
                many.setdefault(prefix, []).append(line[2:])
        elif prefix == "r=" and timings:
            timings[-1] = Timing(timings[-1].active, (*timings[-1].repeats, line[2:]))
        else:
            raise SdpError(f"{line[:20]!r} is no line of a session description, or out of place")
    value = single.get
    connection = value("c=")
    if not many and len(single) <= 2 and "s=" in single and (len(single) == 1 or connection is not None):
        # As nearly every phone writes it.
        return SessionDescription(
            _parse_origin(lines[1][2:]),
            single["s="] or "-",
            None,
            None,
            (),
            (),
            None if connection is None else _parse_connection(connection),
            (),
            tuple(timings) or ALWAYS,
            None,
            None,
            tuple(attributes),
            media,
        )
    return SessionDescription(
        _parse_origin(lines[1][2:]),
        value("s=") or "-",
        value("i="),
        value("u="),
        tuple(many.get("e=", ())),
        tuple(many.get("p=", ())),
        None if connection is None else _parse_connection(connection),
        tuple(many.get("b=", ())),
        tuple(timings) or ALWAYS,
        value("z="),
        value("k="),
        tuple(attributes),
        media,
    )


def _parse_media(section: str) -> MediaDescription:
    """One section, from after its m= on."""
    first, *lines = section.split("\n")
    words = first.split()
    if len(words) < 3:
        raise SdpError(f"m={first[:40]!r} is incomplete")
    kind, port_text, protocol, *formats = words
    port_word, slash, count_word = port_text.partition("/")
    port = parse_number(port_word, 65535)
    port_count = parse_number(count_word, 65535) if slash else 1
    if port is None or not port_count:
        raise SdpError(f"m={first[:40]!r} has no port number")
    if not formats:
        if port:
            raise SdpError(f"m={first[:40]!r} has no format")
        formats = ["0"]  # some phones refuse a line like this; the grammar wants one format
    attributes: list[str] = []
    connections: list[Connection] = []
    bandwidths: list[str] = []
    single: dict[str, str] = {}
    for line in lines:
        prefix = line[:2]
        if prefix == "a=":
            if len(line) > 2:
                attributes.append(line[2:])
        elif prefix == "c=":
            connections.append(_parse_connection(line[2:]))
        elif prefix == "b=":
            if len(line) > 2:
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
