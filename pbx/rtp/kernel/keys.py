"""Keys pressed in calls that pass through the kernel, which logs them (linux/netfilter/nfnetlink_log.h).

Of each packet with an RFC 4733 event a copy comes here; the packet itself goes its way.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final

from pbx.errors import MediaError
from pbx.rtp.kernel.link import Link
from pbx.rtp.kernel.netlink import ACK, ERROR, attribute, attributes, number, pack
from pbx.rtp.latch import Address

_SUBSYSTEM: Final = 4
PACKET, CONFIG = (_SUBSYSTEM << 8 | kind for kind in (0, 1))
_BIND: Final = 1
_COPY_PACKET: Final = 2
_PAYLOAD: Final = 9
_PORTS: Final = Struct("!HH")
_UDP_HEADER: Final = 8
_SEQUENCE: Final = 1


def pack_bind(group: int, copied: int) -> bytes:
    """Have what is logged to `group` sent to us, at once, `copied` bytes of each packet."""
    bind = pack(CONFIG, ACK, _SEQUENCE, attribute(1, bytes([_BIND])), resource=group)
    mode = attribute(2, copied.to_bytes(4, "big") + bytes([_COPY_PACKET, 0])) + number(5, 1)
    return bind + pack(CONFIG, ACK, _SEQUENCE + 1, mode, resource=group)


def unpack_packet(body: bytes) -> tuple[Address, Address, bytes] | None:
    """Source, destination and UDP payload of a logged packet; None: it is no UDP over IP, or not all of it.

    Raises:
        MediaError: it is not netlink.
    """
    packet = attributes(body).get(_PAYLOAD, b"")
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        start = (packet[0] & 0x0F) * 4
        source, target = str(IPv4Address(packet[12:16])), str(IPv4Address(packet[16:20]))
    elif version == 6 and len(packet) >= 40:
        start = 40
        source, target = str(IPv6Address(packet[8:24])), str(IPv6Address(packet[24:40]))
    else:
        return None
    if len(packet) < start + _UDP_HEADER:
        return None
    source_port, target_port = _PORTS.unpack_from(packet, start)
    return (source, source_port), (target, target_port), packet[start + _UDP_HEADER :]


class KeyLog:
    """The end of the log."""

    def __init__(self, group: int, copied: int) -> None:
        """
        Raises:
            OSError, MediaError: this kernel has no such log, or somebody else has the group.
        """
        self._link = Link()
        try:
            for answer in self._link.ask(pack_bind(group, copied)):
                if answer.kind == ERROR and answer.code:
                    raise OSError(answer.code, f"log group {group}")
        except (OSError, MediaError):
            self._link.close()
            raise

    def fileno(self) -> int:
        """To be watched for reading."""
        return self._link.socket.fileno()

    def read(self) -> Iterator[tuple[Address, Address, bytes]]:
        """What has come: source, destination and RTP packet of each event.

        Raises:
            OSError, MediaError: it cannot be read.
        """
        for message in self._link.receive():
            if message.kind == PACKET and (found := unpack_packet(message.body)) is not None:
                yield found

    def close(self) -> None:
        self._link.close()
