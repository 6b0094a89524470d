"""Where the RTCP of one endpoint's peer is taken from, and where ours goes."""

from pbx.rtp.latch import LAST_PORT, Address, Latch, normalize
from pbx.rtp.remote import Remote


class RtcpPath:
    """RTCP comes from the announced address, or from the host that the RTP comes from."""

    __slots__ = ("_announced", "_latch", "_source")

    def __init__(self, latch: Latch) -> None:
        self._latch = latch
        self._announced: Address | None = None
        self._source: Address | None = (
            None  # where it comes from; the announced address stays once it was heard
        )

    def announce(self, remote: Remote) -> None:
        """SDP told the peer's address; without one for RTCP it is the port after that for RTP."""
        announced = remote.rtcp or (remote.rtp and (remote.rtp[0], remote.rtp[1] + 1))
        announced = announced and normalize(announced)
        if announced != self._announced or remote.relatch:
            self._announced, self._source = announced or self._announced, None

    def may_accept(self, source: Address) -> bool:
        """Whether what comes from `source` may be the peer's."""
        if source == self._announced:
            return True
        target = self._latch.target
        return self._latch.is_symmetric and target is not None and source[0] == target[0]

    def accept(self, source: Address) -> None:
        """`source` sent valid RTCP, and may be accepted."""
        if self._source != self._announced:
            self._source = source

    @property
    def target(self) -> Address | None:
        """Where ours goes; None where it can go nowhere."""
        if self._source is not None:
            return self._source
        source, announced = self._latch.source, self._announced
        if source is not None and (announced is None or source[0] != announced[0]):
            return (source[0], source[1] + 1) if source[1] < LAST_PORT else announced
        return announced
