"""The endpoints of all legs: their ports, whose they are, and the statistics that a record waits for."""

from collections.abc import Callable, Mapping
from typing import Any

from pbx.call.call import Call
from pbx.call.effects import WriteRecord
from pbx.call.leg import Leg
from pbx.call.leg_media import LegMedia
from pbx.entropy import Entropy
from pbx.media.orders import CloseEndpoint, EndpointFailed, OpenEndpoint
from pbx.rtp.port_pool import PortPool
from pbx.rtp.statistics import EndpointStats
from pbx.sip.stack import SipStack


class Endpoints:
    """What the media workers have open for us. An endpoint is named `call.leg.count`.

    Args:
        calls: in progress, by their names.
        note: takes milestones for the log.
    """

    def __init__(
        self,
        stack: SipStack,
        entropy: Entropy,
        ports: PortPool,
        calls: Mapping[str, Call],
        note: Callable[..., None],
    ) -> None:
        self.entropy, self.ports = entropy, ports
        self._stack, self._calls, self._note = stack, calls, note
        self._open: dict[str, tuple[LegMedia, int]] = {}  # and their ports
        self._closing: dict[str, int] = {}  # port, until the worker has closed it
        self._of_call: dict[str, set[str]] = {}  # endpoints that are open or closing, by their call's name
        self._records: dict[str, Call] = {}  # calls that are over, and wait for endpoints of theirs

    # --- from a leg's media --------------------------------------------------------------------------------

    def order(self, order: Any) -> None:
        self._stack.out.append(order)

    def open(self, endpoint: str, media: LegMedia, call: str, address: str) -> int:
        """Open an endpoint with the worker of `call`, bound to `address`; returns its port for RTP.

        Raises:
            NoPortError: there is none.
        """
        port = self.ports.take(self._stack.now)
        self._open[endpoint] = (media, port)
        self._of_call.setdefault(_call_of(endpoint), set()).add(endpoint)
        self._stack.out.append(OpenEndpoint(endpoint, call, address, port))
        return port

    def close(self, endpoint: str) -> None:
        """Close it; its port is free when the worker has done so."""
        _, self._closing[endpoint] = self._open.pop(endpoint)
        self._stack.out.append(CloseEndpoint(endpoint))

    # --- from a media worker -------------------------------------------------------------------------------

    def gone(self, endpoint: str, stats: EndpointStats | None) -> None:
        """The worker has closed one: its ports rest, its numbers go to the call's record."""
        port = self._closing.pop(endpoint, None)
        if port is None:
            return
        self.ports.free(port, self._stack.now)
        call_id = _call_of(endpoint)
        call = self._records.get(call_id) or self._calls.get(call_id)
        if call is not None and stats is not None:
            call.keep_statistics(endpoint, stats)
        self._forget(endpoint)

    def failed(self, event: EndpointFailed) -> None:
        """A worker could not open one, or has lost it: its call ends."""
        endpoint = event.endpoint
        if endpoint in self._closing:
            self.gone(endpoint, None)
            return
        found = self.leg_of(endpoint)
        known = self._open.pop(endpoint, None)
        if known is None:
            return
        self._note("endpoint {endpoint} failed: {why}", endpoint=endpoint, why=event.why)
        media, port = known
        media.forget(endpoint)
        self.ports.quarantine(port, self._stack.now)
        self._forget(endpoint)
        if found is not None:
            reason = (("Reason", 'SIP;cause=503;text="Media failure"'),)
            found[0].end(f"no media: {event.why}", 503, reason)

    def leg_of(self, endpoint: str) -> tuple[Call, Leg] | None:
        """Whose it is, while it is open."""
        known = self._open.get(endpoint)
        if known is None:
            return None
        call = self._calls.get(_call_of(endpoint))
        # A leg that went over to another call while it rang keeps its endpoints' names until it is answered.
        calls = (call,) if call is not None else tuple(self._calls.values())
        return next(((call, leg) for call in calls for leg in call.legs if leg.media is known[0]), None)

    # --- records -------------------------------------------------------------------------------------------

    def call_ended(self, call: Call) -> None:
        """Keep the call until its last statistics are in, then write its record."""
        if call.id in self._of_call:
            self._records[call.id] = call
        else:
            self.order(WriteRecord(call.record))

    def _forget(self, endpoint: str) -> None:
        """It is no more; a record that has waited for it alone is written."""
        call_id = _call_of(endpoint)
        left = self._of_call[call_id]
        left.remove(endpoint)
        if left:
            return
        del self._of_call[call_id]
        call = self._records.pop(call_id, None)
        if call is not None:
            self.order(WriteRecord(call.record))

    @property
    def waiting(self) -> dict[str, int]:
        """How many endpoints and records wait for the workers."""
        return {"closing": len(self._closing), "records": len(self._records)}


def _call_of(endpoint: str) -> str:
    return endpoint.partition(".")[0]
