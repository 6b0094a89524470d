"""Keys pressed in calls that pass through the kernel: from its log to the endpoints they were pressed at."""

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]  # ships no types

from pbx.errors import MediaError
from pbx.media.digit_events import EventReceiver
from pbx.rtp.kernel.keys import KeyLog
from pbx.rtp.latch import Address
from pbx.rtp.packet import MalformedPacketError, unpack

log: Final = Logger()

MOST: Final = 1000  # endpoints whose last key is remembered


@implementer(IReadDescriptor)
class KeyReader:
    """
    Args:
        find: gives the endpoint on an address of ours that has a payload type for events.
        pressed: is told endpoint, key and RTP timestamp.
        clock: seconds.
    """

    def __init__(
        self,
        keys: KeyLog,
        find: Callable[[Address, int], str | None],
        pressed: Callable[[str, str, int], None],
        clock: Callable[[], float],
    ) -> None:
        self._keys, self._find, self._pressed, self._now = keys, find, pressed, clock
        self._receivers: dict[str, EventReceiver] = {}

    def fileno(self) -> int:
        return self._keys.fileno()

    def logPrefix(self) -> str:  # noqa: N802
        return "keys"

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        """The reactor watches no more."""

    def doRead(self) -> None:  # noqa: N802
        """Packets have been logged."""
        try:
            for _, target, packet in self._keys.read():
                self._take(target, packet)
        except (OSError, MediaError) as error:
            log.warn("keys in a call that the kernel relays are lost: {why}", why=str(error))

    def _take(self, target: Address, packet: bytes) -> None:
        try:
            opened = unpack(packet)
        except MalformedPacketError:
            return
        endpoint = self._find(target, opened.payload_type)
        if endpoint is None:
            return
        receiver = self._receivers.pop(endpoint, None) or EventReceiver()
        self._receivers[endpoint] = receiver
        if len(self._receivers) > MOST:
            del self._receivers[next(iter(self._receivers))]
        try:
            digit = receiver.receive(opened.timestamp_ticks, opened.marker, opened.payload, self._now())
        except MalformedPacketError:
            return
        if digit is not None:
            self._pressed(endpoint, digit, opened.timestamp_ticks)
