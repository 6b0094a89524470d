"""The endpoints of all legs: their ports, whose they are, and the statistics that a record waits for."""

from collections.abc import Callable, Mapping
from typing import Any

from pbx.call.call import Call
from pbx.call.effects import WriteRecord
from pbx.call.leg import Leg
from pbx.call.leg_media import LegMedia
from pbx.entropy import Entropy
from pbx.media.orders import EndpointFailed
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
        self._closing: dict[str, tuple[int, str]] = {}  # port and call, until the worker has closed it
        self._records: dict[str, tuple[Call, set[str]]] = {}  # of calls that are over, and what they wait for

    # --- from a leg's media --------------------------------------------------------------------------------

    def time(self) -> float:
        return self._stack.now

    def order(self, order: Any) -> None:
        self._stack.out.append(order)

    def endpoint_opened(self, endpoint: str, media: LegMedia, rtp_port: int) -> None:
        self._open[endpoint] = (media, rtp_port)

    def endpoint_closed(self, endpoint: str) -> None:
        _, port = self._open.pop(endpoint)
        self._closing[endpoint] = (port, endpoint.split(".", 1)[0])

    # --- from a media worker -------------------------------------------------------------------------------

    def gone(self, endpoint: str, stats: EndpointStats | None) -> None:
        """The worker has closed one: its ports rest, its numbers go to the call's record."""
        known = self._closing.pop(endpoint, None)
        if known is None:
            return
        port, call_id = known
        self.ports.free(port, self._stack.now)
        waiting = self._records.get(call_id)
        call = waiting[0] if waiting is not None else self._calls.get(call_id)
        if call is not None and stats is not None:
            call.keep_statistics(endpoint, stats)
        self._settle(call_id, endpoint)

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
        self._settle(endpoint.split(".", 1)[0], endpoint)
        if found is not None:
            reason = (("Reason", 'SIP;cause=503;text="Media failure"'),)
            found[0].end(f"no media: {event.why}", 503, reason)

    def leg_of(self, endpoint: str) -> tuple[Call, Leg] | None:
        """Whose it is, while it is open."""
        known = self._open.get(endpoint)
        if known is None:
            return None
        call = self._calls.get(endpoint.split(".", 1)[0])
        # A leg that went over to another call while it rang keeps its endpoints' names until it is answered.
        calls = (call,) if call is not None else tuple(self._calls.values())
        return next(((call, leg) for call in calls for leg in call.legs if leg.media is known[0]), None)

    # --- records -------------------------------------------------------------------------------------------

    def call_ended(self, call: Call) -> None:
        """Keep the call until its last statistics are in, then write its record."""
        waited = {name for name, (_, of) in self._closing.items() if of == call.id}
        waited |= {name for name in self._open if name.startswith(f"{call.id}.")}
        if waited:
            self._records[call.id] = (call, waited)
        else:
            self.order(WriteRecord(call.record))

    def _settle(self, call_id: str, endpoint: str) -> None:
        """One endpoint less to wait for."""
        waiting = self._records.get(call_id)
        if waiting is None:
            return
        waiting[1].discard(endpoint)
        if not waiting[1]:
            del self._records[call_id]
            self.order(WriteRecord(waiting[0].record))

    @property
    def waiting(self) -> dict[str, int]:
        """How many endpoints and records wait for the workers."""
        return {"closing": len(self._closing), "records": len(self._records)}
