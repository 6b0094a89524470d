"""A peer's description as it is read: its media lines, and what they are about.

What a phone says differs from call to call only in its o= line and its port. Reading the rest costs some 60
microseconds, so it is done once for each phone: the second time, only the port is put in its place.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from pbx.sdp.content import Content
from pbx.sdp.errors import SdpError
from pbx.sdp.pairing import Key
from pbx.sdp.remote import RemoteLine, read_lines
from pbx.sdp.session import SessionDescription

REMEMBERED: Final = 2048  # some 2 kB each; 12 where a phone fills `LONGEST` with the shortest lines there are
LONGEST: Final = 1000  # octets
# One m= line with a port: what stands between the o= line and it, its kind, the port, the rest.
_USUAL: Final = re.compile(
    rb"v=0\r\no=[!-~]+(?: [!-~]+){5}\r\n((?:[a-ln-z]=[^\r\n]*\r\n)*)m=([a-z]+) ([1-9]\d{0,4}) (.*)", re.S
)


# The media lines, and the same without where they go.
Reading = tuple[tuple[RemoteLine, ...], Content]


def read(body: bytes, keys: Sequence[Key]) -> Reading:
    """Read a description; `keys` are the kind and ordinal of the lines that the session already has.

    Raises:
        SdpError: it is none.
    """
    # Keys for SRTP are not kept, nor is a port for RTCP, which changes like the other one.
    usual = _USUAL.fullmatch(body) if len(body) <= LONGEST else None
    if usual is not None and b"a=crypto:" not in body and b"a=rtcp:" not in body:
        session, kind, port, rest = usual.groups()
        known = _recall(session, kind, rest)
        if known is not None and (not keys or (len(keys) == 1 and keys[0] == known[0][0].line.key)):
            number = int(port)
            if number < 65535:
                return _with_port(known, number)
    return _read(SessionDescription.parse(body), keys)


@lru_cache(REMEMBERED)
def _recall(session: bytes, kind: bytes, rest: bytes) -> Reading | None:
    """What such a description says, at port 9; None where it is not as simple as that."""
    body = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\n%bm=%b 9 %b" % (session, kind, rest)
    try:
        description = SessionDescription.parse(body)
    except SdpError:  # whoever reads it whole is told
        return None
    return _read(description, ()) if len(description.media) == 1 else None


def _with_port(known: Reading, port: int) -> Reading:
    (((line, protocol, formats, rtp, _, rtcp_mux, crypto, had_crypto, refusal),), content) = known
    rtcp = None
    if rtp is not None:
        address = rtp[0]
        rtp = (address, port)
        rtcp = rtp if rtcp_mux else (address, port + 1)
    return (RemoteLine(line, protocol, formats, rtp, rtcp, rtcp_mux, crypto, had_crypto, refusal),), content


def _read(description: SessionDescription, keys: Sequence[Key]) -> Reading:
    lines = read_lines(description, keys)
    return lines, Content(tuple([each.line for each in lines]), description.bandwidths)
