"""Reading the peer's media lines: what they are about (Line) apart from where and how (RemoteLine)."""

import re
from collections.abc import Iterable, Sequence
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple

from pbx.sdp import errors
from pbx.sdp.content import DIRECTIONS, INACTIVE, SENDONLY, SENDRECV, Direction, Line, narrow
from pbx.sdp.crypto import CryptoAttribute, read_crypto
from pbx.sdp.formats import LAST_PAYLOAD_TYPE, READY, Format, make_format
from pbx.sdp.session import Connection, MediaDescription, SessionDescription, parse_number

KINDS: Final = frozenset({"audio", "video"})
# Profile -> whether it is secure. AVPF and SAVPF: RFC 4585, RFC 5124.
PROTOCOLS: Final = {"RTP/AVP": False, "RTP/AVPF": False, "RTP/SAVP": True, "RTP/SAVPF": True}

# Attributes about transport, keys or the peer's own address: they end here, made anew or left out.
STRIPPED: Final = frozenset(
    """candidate remote-candidates end-of-candidates ice-ufrag ice-pwd ice-lite ice-options
    ice-mismatch ice-pacing fingerprint setup connection tls-id identity key-mgmt zrtp-hash crypto
    rtcp rtcp-mux rtcp-mux-only mid group bundle-only msid msid-semantic source-filter alt
    nortpproxy direction curr des conf acap tcap pcfg acfg csup creq mcap mfcap mscap lcfg sescap
    rmcap omcap bcap
    """.split()  # noqa: SIM905
)
# Those that are read here; what is in neither set passes to the other leg as it is.
READ: Final = frozenset({"rtpmap", "fmtp", "rtcp-fb", "ptime", "maxptime", *DIRECTIONS})
KNOWN: Final = STRIPPED | READ

_IPV4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}", re.ASCII)

Address = tuple[str, int]


class Refusal(NamedTuple):
    """Why a line cannot be taken: a warning code and text (RFC 3261 §20.43)."""

    code: int
    text: str


class RemoteLine(NamedTuple):
    """One media line of the peer's.

    `protocol` and `formats` stand as written, for repeating them in a refusal. `rtp` and `rtcp` are None
    where the peer gave the null address or port 0. `crypto` holds the usable lines only; `had_crypto` says
    that there were some.
    """

    line: Line
    protocol: str
    formats: tuple[str, ...]
    rtp: Address | None
    rtcp: Address | None
    rtcp_mux: bool
    crypto: tuple[CryptoAttribute, ...]
    had_crypto: bool
    refusal: Refusal | None

    @property
    def is_secure(self) -> bool:
        """True for the profiles whose packets are SRTP."""
        return PROTOCOLS.get(self.protocol, False)


def read_lines(description: SessionDescription, keys: Sequence[tuple[str, int]]) -> tuple[RemoteLine, ...]:
    """Read every media line; `keys` are the kind and ordinal of the lines that the session already has."""
    direction: Direction = SENDRECV
    for attribute in description.attributes:
        if attribute in DIRECTIONS:
            direction = DIRECTIONS[attribute]
    ordinals: dict[str, int] = {}
    for kind, ordinal in keys:
        ordinals[kind] = max(ordinals.get(kind, -1), ordinal)
    lines = []
    for index, media in enumerate(description.media):
        if index < len(keys) and keys[index][0] == media.kind:
            ordinal = keys[index][1]
        else:
            ordinal = ordinals.get(media.kind, -1) + 1
            ordinals[media.kind] = ordinal
        lines.append(_read_line(media, ordinal, description.connection, direction))
    return tuple(lines)


def _read_line(
    media: MediaDescription, ordinal: int, connection: Connection | None, direction: Direction
) -> RemoteLine:
    found = _by_name(media.attributes)
    others: tuple[str, ...] = ()
    if not found.keys() <= KNOWN:
        _strip_names(found)
        others = tuple([each for each in media.attributes if each.partition(":")[0].rstrip() not in KNOWN])
    if media.connections:
        connection = media.connections[0]
    feedback = _by_number(found["rtcp-fb"]) if "rtcp-fb" in found else {}
    formats = _read_formats(media.formats, found, feedback)
    refusal, address = _judge(media, connection, formats)
    rejected = media.port == 0 or refusal is not None
    rtp = rtcp = None
    if rejected:
        direction = INACTIVE
    else:
        for each in DIRECTIONS.values():
            if each in found:
                direction = each
                break
        if address is None:
            # RFC 3264 §8.4, RFC 2543 hold: nothing is to be sent to the null address.
            direction = narrow(direction, SENDONLY)
        else:
            rtp = (address, media.port)
            rtcp = _rtcp_address(found, address, media.port)
    line = Line(
        media.kind,
        ordinal,
        formats,
        direction,
        _milliseconds(found, "ptime"),
        _milliseconds(found, "maxptime"),
        media.bandwidths,
        tuple(feedback.get("*", ())),
        others,
        rejected,
    )
    crypto = found.get("crypto")
    return RemoteLine(
        line,
        media.protocol,
        media.formats,
        rtp,
        rtcp,
        "rtcp-mux" in found,
        () if crypto is None else read_crypto(crypto),
        crypto is not None,
        refusal,
    )


def _by_name(attributes: Iterable[str]) -> dict[str, list[str]]:
    """The attributes' values by their names."""
    found: dict[str, list[str]] = {}
    for attribute in attributes:
        name, _, value = attribute.partition(":")
        if name in found:
            found[name].append(value)
        else:
            found[name] = [value]
    return found


def _strip_names(found: dict[str, list[str]]) -> None:
    """Some phones end their lines with a blank, which sticks to a name without a value."""
    for name in [name for name in found if name[-1:].isspace()]:
        found.setdefault(name.rstrip(), []).extend(found.pop(name))


def _by_number(values: Iterable[str]) -> dict[str, list[str]]:
    """Attributes of the form "payload-type value" by their first word."""
    found: dict[str, list[str]] = {}
    for value in values:
        number, _, rest = value.partition(" ")
        found.setdefault(number, []).append(rest.strip())
    return found


def _read_formats(
    written: Sequence[str], found: dict[str, list[str]], feedback: dict[str, list[str]]
) -> tuple[Format, ...]:
    """The formats we can name, in order; the others are passed over."""
    maps = {value.partition(" ")[0]: value for value in reversed(found.get("rtpmap", ()))}
    parameters = _by_number(found["fmtp"]) if "fmtp" in found else {}
    formats: dict[int, Format] = {}
    for word in written:
        made = READY.get(maps.get(word, word)) or _make_format(word, maps.get(word))
        if made is None or made.payload_type in formats:
            continue
        if word in parameters or word in feedback:
            made = Format(
                made[0], made[1], made[2], tuple(parameters.get(word, ())), tuple(feedback.get(word, ()))
            )
        formats[made.payload_type] = made
    return tuple(formats.values())


def _make_format(word: str, rtpmap: str | None) -> Format | None:
    number = parse_number(word, LAST_PAYLOAD_TYPE)
    if number is None:
        return None
    return make_format(number, None if rtpmap is None else rtpmap.partition(" ")[2].strip())


def _milliseconds(found: dict[str, list[str]], name: str) -> int | None:
    return parse_number(found[name][0].strip(), 10_000) if name in found else None


def _rtcp_address(found: dict[str, list[str]], address: str, port: int) -> Address:
    """Where RTCP goes: one port up, where a=rtcp says (RFC 3605), or with the RTP (RFC 5761)."""
    if "rtcp-mux" in found:
        return (address, port)
    if "rtcp" in found:
        words = found["rtcp"][0].split()
        given = parse_number(words[0], 65535) if words else None
        if given:
            return (words[3] if len(words) == 4 and is_unicast(words[3]) else address, given)
    return (address, port + 1 if port < 65535 else port)


def _judge(
    media: MediaDescription, connection: Connection | None, formats: tuple[Format, ...]
) -> tuple[Refusal | None, str | None]:
    """Whether the line can be taken at all, and its address: None for the null address."""
    if media.port == 0:
        return None, None
    if media.kind not in KINDS:
        return Refusal(errors.MEDIA_TYPE_NOT_AVAILABLE, f"no {media.kind} here"), None
    if media.protocol not in PROTOCOLS:
        return Refusal(errors.INCOMPATIBLE_TRANSPORT, f"{media.protocol} is not supported"), None
    if not formats:
        return Refusal(errors.INCOMPATIBLE_MEDIA_FORMAT, f"no known {media.kind} format"), None
    if connection is None:
        return Refusal(errors.MISCELLANEOUS, f"no connection address for {media.kind}"), None
    if connection.network != "IN":
        return Refusal(errors.INCOMPATIBLE_NETWORK_PROTOCOL, f"network {connection.network} is unknown"), None
    return _judge_address(connection.address)


def _judge_address(address: str) -> tuple[Refusal | None, str | None]:
    if is_unicast(address):
        return None, address
    if is_null(address):
        return None, None
    if is_multicast(address.partition("/")[0]):
        return Refusal(errors.MULTICAST_NOT_AVAILABLE, f"{address} is multicast"), None
    return Refusal(errors.INCOMPATIBLE_ADDRESS_FORMAT, f"{address} is no IP address"), None


def is_null(address: str) -> bool:
    """The address to which nothing is sent (RFC 3264 §8.4; its IPv6 kin; a name in .invalid, RFC 3264 §5)."""
    return address in ("0.0.0.0", "::") or address.endswith(".invalid")  # noqa: S104


def is_multicast(address: str) -> bool:
    if _IPV4.fullmatch(address):
        return 224 <= int(address.partition(".")[0]) <= 239
    parsed = _ipv6(address)
    return parsed is not None and parsed.is_multicast


def is_unicast(address: str) -> bool:
    """An IP literal that packets can be sent to."""
    if _IPV4.fullmatch(address):
        first = int(address.partition(".")[0])
        return 0 < first < 224
    parsed = _ipv6(address)
    return parsed is not None and not parsed.is_multicast and not parsed.is_unspecified


def _ipv6(address: str) -> IPv6Address | None:
    if ":" not in address or "%" in address:  # a scope means nothing to us
        return None
    try:
        return IPv6Address(address)
    except AddressValueError:
        return None
