"""When the two streams of a join are handed over to the kernel, and when they come back.

It takes over once both peers have been heard for a moment, if nothing needs to see or change their packets
(docs/decisions/kernel.md). Whatever changes, the streams first come back here.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from pbx.rtp.kernel.conntrack import Flow
from pbx.rtp.kernel.joins import KernelJoin
from pbx.rtp.port_pair import PortPair
from pbx.rtp.session import RtpSession

QUEUE: Final = 64
NOT_HEARD: Final = "not heard yet"
RETURNS: Final = 3  # of a stream from the kernel without our doing: enough


class Kernel(Protocol):
    """Who passes streams on without us; `pbx.rtp.kernel.joins` says more."""

    def join(
        self, flow: Flow, onward: Flow, lost: Callable[[str], None], now: float
    ) -> KernelJoin | str | None: ...

    def leave(self, join: KernelJoin) -> None: ...


class End(Protocol):
    """An endpoint, as far as its stream can be handed over."""

    @property
    def ports(self) -> PortPair: ...

    @property
    def session(self) -> RtpSession: ...

    @property
    def offload(self) -> "Offload | None":
        """That of its join."""
        ...

    @property
    def is_tapped(self) -> bool:
        """Whether the PBX itself listens or speaks there."""
        ...

    def choose_path(self) -> None:
        """Read its sockets as befits who has the stream."""
        ...


class Offload:
    """The kernel's part in one join."""

    __slots__ = ("_ends", "_kernel", "_refusal", "_returns")

    def __init__(self, a: End, b: End, kernel: Kernel | None) -> None:
        self._ends, self._kernel = (a, b), kernel
        self._refusal = ""  # why the kernel does not take the streams, as it said
        self._returns = {a: 0, b: 0}

    def why_stays(self, end: End) -> str:
        """Why the kernel may not have the streams, as far as is known, the reasons of `end` first."""
        if self._kernel is None:
            return "nobody to have it"
        return self._refusal or why_seen(end) or why_seen(self._other(end))

    def hand_over(self, end: End, now: float) -> None:
        """Let the kernel pass on the packets of both sides, but for those that have come already."""
        assert self._kernel is not None
        peer = self._other(end)
        source, other = end.session.latch.source, peer.session.latch.source
        for each in self._ends:
            each.ports.drain(now, QUEUE)
        if end.offload is not self or source is None or other is None:
            return
        if (end.session.latch.source, peer.session.latch.source) != (source, other):
            return
        flow, onward = Flow(source, end.ports.address), Flow(peer.ports.address, other)
        made = self._kernel.join(flow, onward, partial(self.lost, end), now)
        for each in self._ends:
            each.session.settle()
        if isinstance(made, KernelJoin):
            end.session.way, peer.session.way = made.there, made.back
        elif made is not None:
            self._refusal = made
        self._choose_paths()

    def come_back(self, why: str = "") -> None:
        """Take the streams back from the kernel, if they are there, and see to them here.

        Args:
            why: what there is against handing them over again.
        """
        if self.fetch(why):
            self._choose_paths()

    def fetch(self, why: str = "") -> bool:
        """As `come_back`, but leave the sockets alone; False: it did not have them."""
        way = self._ends[0].session.way
        if way is None or self._kernel is None:
            return False
        self._kernel.leave(way.join)
        for end in self._ends:
            end.session.come_back()
        self._refusal = self._refusal or why
        return True

    def lost(self, end: End, why: str) -> None:
        """The kernel does not have the streams any more, as was found out at `end`."""
        self.come_back(why)
        for each in self._ends:
            each.session.was_lost()
        self._returns[end] += 1
        if self._returns[end] >= RETURNS and not self._refusal:
            self._refusal = "the kernel keeps losing it"
            self._choose_paths()

    def permit(self) -> None:
        """What the kernel refused before may be possible now."""
        self._refusal = ""
        self._returns = dict.fromkeys(self._ends, 0)

    def _other(self, end: End) -> End:
        a, b = self._ends
        return b if end is a else a

    def _choose_paths(self) -> None:
        for end in self._ends:
            end.choose_path()


def why_seen(end: End) -> str:
    """Why the packets of this side have to be seen; "" = nobody needs to.

    Whoever changes one of these lets the streams come back first.
    """
    session = end.session
    remote = session.remote
    if remote is None:
        return "not agreed yet"
    if remote.srtp is not None:
        return "encrypted"
    if remote.rtcp_mux:
        return "RTCP on the same port"
    if session.payload_map:
        return "payload types differ"
    if not (remote.may_send and remote.may_receive):
        return "on hold"
    if end.is_tapped:
        return "heard by the PBX"
    if remote.has_digits and remote.telephone_event is not None:
        return "digits count"
    if not session.latch.is_fixed:
        return NOT_HEARD
    return ""
