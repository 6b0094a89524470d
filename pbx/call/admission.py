"""The door: overload and limits turn requests away here, each with its answer, its count, its log line."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from pbx.call.call import Call
from pbx.call.limits import GIVEN_UP_S, SET_UPS, Brake, CallFacts, Cause, refuse_call
from pbx.call.refusals import Refusals
from pbx.office.snapshot import Office
from pbx.sip.attempts import network_of
from pbx.sip.flow import Flow
from pbx.sip.overload import Kind, Overload
from pbx.sip.parser import METHODS
from pbx.sip.refusal import Refusal
from pbx.sip.stateless import Beginning

# They complete or end what goes on: to turn them away would cost more than to take them.
UNSHED: Final = frozenset({"ACK", "BYE", "CANCEL", "PRACK"})
MOST_REGISTERS: Final = 10  # of one network in a window of overload: more is no office, or one that can wait
RETRY_S: Final = range(5, 16)  # when those turned away come back: not all at once
_BUSY: Final = [Refusal(503, "Service Unavailable", (("Retry-After", str(each)),)) for each in RETRY_S]


class Admission:
    """What may begin.

    Args:
        office: the one in force.
        is_known: whether a phone is registered by a flow, or a carrier sends by it.
        calls: in progress, by their names.
        warn: takes lines for the log.
        most_calls, calls_per_second: of [limits].
    """

    def __init__(
        self,
        office: Callable[[], Office],
        is_known: Callable[[Flow], bool],
        calls: Mapping[str, Call],
        warn: Callable[..., None],
        most_calls: int,
        calls_per_second: int,
    ) -> None:
        self.overload = Overload()
        self.refusals = Refusals()
        self._office, self._is_known, self._calls, self._warn = office, is_known, calls, warn
        self._most_calls = most_calls
        self._brake = Brake(calls_per_second)
        self._registers: Counter[str] = Counter()  # of strangers in this window, by network
        # Calls of each device, some of which are answered, and until when each counts after its end.
        self._set_ups: dict[str, dict[str, float]] = {}

    def end_window(self, least_s: float) -> bool:
        """Take the least wait of the window that has just ended, seconds; whether there is overload."""
        self._registers.clear()
        self.overload.end_window(least_s)
        return self.overload.is_on

    def expire(self, now: float) -> None:
        for episode in self.refusals.expire(now):
            counts = ", ".join(f"{count} {method}" for method, count in episode.counts.most_common())
            text = "no longer turning calls away ({why}): {counts} refused in {seconds:.1f} s"
            lasted_s = episode.last - episode.since
            self._warn(text, why=episode.why, counts=counts, seconds=lasted_s)

    def is_emergency(self, dialled: str) -> bool:
        """Whether it is an emergency number (office.emergency)."""
        return dialled in self._office().settings.emergency

    def screen(self, beginning: Beginning, flow: Flow, now: float) -> Refusal | None:
        """What overload answers to a request outside of dialogs, looked at by nobody yet; None to go on."""
        method = beginning.method
        if method in UNSHED or not self.overload.sheds(self._kind(beginning, flow)):
            return None
        if method == "INVITE" and self.is_emergency(beginning.user):
            return None
        why = f"overload, requests wait {self.overload.wait_s * 1000:.0f} ms for their turn"
        self._count(Cause.OVERLOAD, "", why, method, now)
        return _BUSY[_spread(beginning)]

    def check(self, beginning: Beginning, device: str, now: float) -> None:
        """Whether a new call of `device` may begin.

        Raises:
            Refusal: it may not; says when to try again.
        """
        facts = CallFacts(
            is_emergency=self.is_emergency(beginning.user),
            calls=len(self._calls),
            most_calls=self._most_calls,
            is_braked=self._brake.is_on(now),
            set_ups=self._count_set_ups(device, now),
        )
        cause = refuse_call(facts)
        if cause is None:
            self._brake.take()
            return
        who, why = {
            Cause.CALLS: ("", f"limits.calls = {self._most_calls} are in progress"),
            Cause.CALLS_PER_SECOND: ("", f"more than limits.calls_per_second = {self._brake.rate}"),
            Cause.DEVICE: (
                device,
                f"{facts.set_ups} calls of {device} wait for an answer, or were just given up",
            ),
        }[cause]
        self._count(cause, who, why, beginning.method, now)
        if cause is Cause.DEVICE:  # a 503 would speak of the server, and send the phone to another one
            status, reason = 480, "Too Many Calls From This Device"
        else:
            status, reason = 503, "Service Unavailable"
        raise Refusal(status, reason, _BUSY[_spread(beginning)].headers)

    def began(self, device: str, call_id: str) -> None:
        """A call that was let in is there."""
        self._set_ups.setdefault(device, {})[call_id] = 0.0

    def ended(self, call: Call) -> None:
        """A call is over."""
        held = self._set_ups.get(call.record.caller_device, {})
        if call.record.state == "cancelled" and call.id in held:
            held[call.id] = call.started_at + GIVEN_UP_S
        else:
            held.pop(call.id, None)

    def _kind(self, beginning: Beginning, flow: Flow) -> Kind:
        if self._is_known(flow):
            if beginning.method != "INVITE":
                return Kind.KNOWN
            return Kind.KNOWN_ANSWERED_CALL if beginning.has_credentials else Kind.KNOWN_CALL
        if beginning.method == "REGISTER":
            network = network_of(flow.peer[0])
            self._registers[network] += 1
            if self._registers[network] <= MOST_REGISTERS:
                return Kind.REGISTER
        return Kind.ANSWERED if beginning.has_credentials else Kind.STRANGER

    def _count_set_ups(self, device: str, now: float) -> int:
        """How many calls of a device count as unanswered; too high while that is below the limit."""
        held = self._set_ups.get(device, {})
        if len(held) >= SET_UPS:
            for call_id, until in list(held.items()):
                call = self._calls.get(call_id)
                if now >= until if call is None else call.talk:
                    del held[call_id]
        return len(held)

    def _count(self, cause: Cause, who: str, why: str, method: str, now: float) -> None:
        if self.refusals.add(cause, who, why, method if method in METHODS else "other requests", now):
            self._warn("turning new calls away: {why}", why=why)


def _spread(beginning: Beginning) -> int:
    """The same for each copy of a request."""
    return hash(beginning.call_id) % len(RETRY_S)
