"""Our registration at a carrier (RFC 3261 §10.2): kept, refreshed, and begun again when it fails. Pure."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final, TypeAlias

from pbx.entropy import Entropy
from pbx.errors import PeerError
from pbx.immutable import immutable
from pbx.sip.fields import parse_seconds
from pbx.sip.flow import Flow
from pbx.sip.message import Response

EXPIRES_S: Final = 600  # asked for
SHORTEST_S: Final = 10.0  # what lives less long is no binding: to keep it, we would have to ask all the time
LONGEST_S: Final = 86_400  # what a Min-Expires or a Retry-After can make of it
BASE_S: Final = 30.0  # RFC 5626 §4.5: the first pause after a failure; it doubles each time
MAX_S: Final = 1800.0
LOST_S: Final = 30.0  # from one registration to the next that a lost connection causes
# A wrong password does not become right: asked more often, carriers lock the account.
REFUSED_S: Final = 600.0

State = Enum("State", "IDLE REGISTERING REGISTERED WAITING REFUSED LEAVING GONE")
Input = Enum("Input", "GO NOWHERE LOST ACCEPTED TOO_BRIEF REFUSED NEXT FAILED TIMER STOP")


@immutable
class SendRegister:
    """Send a REGISTER over `flow`, asking for `expires_s` seconds, 0 to end the binding.

    What is answered goes to `receive_response` with `attempt`.
    """

    flow: Flow
    expires_s: int
    attempt: int


@immutable
class Unused:
    """Something came that the machine has no use for."""

    why: str


Effect: TypeAlias = SendRegister | Unused


class Registration:
    """One binding at one registrar, at the first of `targets` that takes it.

    Attributes:
        targets: the ways to the registrar, the best first; whoever looks them up sets them.
        flow: the way it took last.
        expires_at: until when the registrar keeps the binding; 0.0 = there is none.
        why: the last failure in words, "" after a success.
        status: of the last answer, 408 and 503 also for a silent and an unreachable server.
    """

    def __init__(self, entropy: Entropy) -> None:
        self.state = State.IDLE
        self.deadline: float | None = None
        self.targets: Sequence[Flow] = ()
        self.flow: Flow | None = None
        self.expires_at = 0.0
        self.why = ""
        self.status = 0
        self._entropy = entropy
        self._attempt = 0
        self._next = 0  # of `targets`, in this round
        self._asked_s = EXPIRES_S
        self._failures = 0  # rounds in a row
        self._is_longer = False  # than a 423 took, in this round
        self._retry_after_s = 0.0
        self._granted_s = 0.0
        self._registered_at = 0.0

    def is_by(self, flow: Flow) -> bool:
        """Whether it is registered, and over `flow`."""
        return self.state is State.REGISTERED and self.flow is not None and self.flow[:2] == flow[:2]

    def go(self, now: float) -> list[Effect]:
        """Register now: for the first time, from another address, or because something has changed."""
        return self._step(Input.GO if self.targets else Input.NOWHERE, now)

    def move(self, flow: Flow, now: float) -> list[Effect]:
        """Where it is registered nothing answers, but over `flow` something does."""
        if self.state is not State.REGISTERED or self.is_by(flow):
            return []
        self.flow = flow
        return self.go(now)

    def lose(self, now: float) -> list[Effect]:
        """The connection that it was made by is gone: the carrier may have no other way to us."""
        return self._step(Input.LOST, now)

    def stop(self, now: float) -> list[Effect]:
        """End the binding."""
        return self._step(Input.STOP, now)

    def expire(self, now: float) -> list[Effect]:
        if self.deadline is None or self.deadline > now:
            return []
        return self._step(Input.TIMER if self.targets else Input.NOWHERE, now)

    def receive_response(self, response: Response, attempt: int, contact: str, now: float) -> list[Effect]:
        """Take the answer to a REGISTER.

        Args:
            response: 408 and 503 also stand for a silent and an unreachable server; a 401 or 407 is one that
                our credentials do not answer.
            attempt: of the `SendRegister`.
            contact: the URI that the REGISTER gave as our Contact.
        """
        if response.status < 200:
            return []
        if attempt != self._attempt:
            return [Unused(f"{response.status} to an earlier REGISTER")]
        self.status = response.status
        self._retry_after_s = max(self._retry_after_s, _seconds(response, "Retry-After"))
        if response.is_success:
            self._granted_s = _granted(response, contact, self._asked_s)
        if self.state is State.LEAVING or (response.is_success and self._granted_s >= SHORTEST_S):
            return self._step(Input.ACCEPTED if response.is_success else Input.FAILED, now)
        self.why = f"{response.status} {response.reason}"
        if response.is_success:
            self.why += f" for {self._granted_s:.0f} s only"
            self.expires_at = 0.0
            return self._fail(now)
        least = int(_seconds(response, "Min-Expires"))
        if response.status == 423 and least > self._asked_s and not self._is_longer:
            self._asked_s, self._is_longer = least, True
            return self._step(Input.TOO_BRIEF, now)
        if response.status != 408 and not 500 <= response.status < 600:
            return self._step(Input.REFUSED, now)
        return self._fail(now)

    # --- inside --------------------------------------------------------------------------------------------

    def _fail(self, now: float) -> list[Effect]:
        self._next += 1
        return self._step(Input.NEXT if self._next < len(self.targets) else Input.FAILED, now)

    def _step(self, kind: Input, now: float) -> list[Effect]:
        if (row := TRANSITIONS.get((self.state, kind))) is None:
            return [Unused(f"{kind.name} in {self.state.name}")]
        action, self.state = row
        return action(self, now)

    def _begin(self, now: float) -> list[Effect]:
        # Where it was last, as long as that is a way: a carrier's servers need not share their bindings.
        last = self.flow
        if last is not None:
            self.targets = sorted(self.targets, key=lambda each: (each.transport, each.peer) != last[:2])
        self._next, self._is_longer, self._retry_after_s = 0, False, 0.0
        return self._try(now)

    def _try(self, _now: float) -> list[Effect]:
        self.deadline = None
        self.flow = self.targets[self._next]
        return self._send(self._asked_s)

    def _ask_longer(self, _now: float) -> list[Effect]:
        # RFC 3261 §10.2.8: of who said so. A lookup may have changed `targets` since it was asked.
        return self._send(self._asked_s)

    def _send(self, expires_s: int) -> list[Effect]:
        assert self.flow is not None  # only after `_try`
        self._attempt += 1
        return [SendRegister(self.flow, expires_s, self._attempt)]

    def _keep(self, now: float) -> list[Effect]:
        self.why, self._failures, self._registered_at = "", 0, now
        self.expires_at = now + self._granted_s
        self.deadline = now + self._granted_s * (0.8 + 0.1 * self._chance())
        return []

    def _hurry(self, now: float) -> list[Effect]:
        assert self.deadline is not None  # a registration is refreshed
        soon = max(now, self._registered_at + LOST_S) + self._chance()
        self.deadline = min(self.deadline, soon)
        return []

    def _rest(self, now: float) -> list[Effect]:
        self.expires_at = 0.0
        self._failures = 0
        return self._wait_for(REFUSED_S, now)

    def _back_off(self, now: float) -> list[Effect]:
        # RFC 5626 §4.5. The way that failed is not preferred the next time.
        self.flow = None
        wait = min(MAX_S, BASE_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return self._wait_for(wait, now)

    def _lack(self, now: float) -> list[Effect]:
        self.why, self.status = "there is no way to the server", 0
        return self._back_off(now)

    def _wait_for(self, seconds: float, now: float) -> list[Effect]:
        wait = max(seconds * (0.5 + 0.5 * self._chance()), self._retry_after_s)
        self.deadline = now + wait
        return []

    def _leave(self, _now: float) -> list[Effect]:
        self.deadline = None
        self.expires_at = 0.0
        return self._send(0)

    def _end(self, _now: float) -> list[Effect]:
        self.deadline = None
        self.expires_at = 0.0
        self._attempt += 1
        return []

    def _chance(self) -> float:
        return self._entropy.below(1001) / 1000


_R = Registration
_Action: TypeAlias = Callable[[Registration, float], list[Effect]]
_RESTING: Final = (State.IDLE, State.REGISTERED, State.WAITING, State.REFUSED)
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[_Action, State]]] = {
    **{(state, Input.GO): (_R._begin, State.REGISTERING) for state in (*_RESTING, State.REGISTERING)},
    **{(state, Input.NOWHERE): (_R._lack, State.WAITING) for state in _RESTING},
    **{(state, Input.TIMER): (_R._begin, State.REGISTERING) for state in _RESTING[1:]},
    (State.REGISTERED, Input.LOST): (_R._hurry, State.REGISTERED),
    (State.REGISTERING, Input.ACCEPTED): (_R._keep, State.REGISTERED),
    (State.REGISTERING, Input.TOO_BRIEF): (_R._ask_longer, State.REGISTERING),
    (State.REGISTERING, Input.REFUSED): (_R._rest, State.REFUSED),
    (State.REGISTERING, Input.NEXT): (_R._try, State.REGISTERING),
    (State.REGISTERING, Input.FAILED): (_R._back_off, State.WAITING),
    # Whatever becomes of a REGISTER on its way, what follows it takes the binding back.
    (State.REGISTERING, Input.STOP): (_R._leave, State.LEAVING),
    (State.REGISTERED, Input.STOP): (_R._leave, State.LEAVING),
    **{(state, Input.STOP): (_R._end, State.GONE) for state in (State.IDLE, State.WAITING, State.REFUSED)},
    (State.LEAVING, Input.ACCEPTED): (_R._end, State.GONE),
    (State.LEAVING, Input.FAILED): (_R._end, State.GONE),
}


def _granted(response: Response, contact: str, asked_s: int) -> float:
    """How long the registrar keeps our binding (§10.2.4): of our Contact, of all, or what we asked for.

    A Contact that was rewritten on its way is ours when it lives the longest, for ours is the newest.
    """
    try:
        contacts = response.contacts
    except PeerError:
        contacts = []
    ours = [each for each in contacts if each.uri.render() == contact] or contacts
    of_all = _read(response.headers.get("Expires"), float(asked_s))
    return max((_read(each.param("expires"), of_all) for each in ours), default=of_all)


def _seconds(response: Response, name: str) -> float:
    """A number of seconds in a header; 0.0 where there is none, or none that can be read."""
    return _read(response.headers.get(name), 0.0)


def _read(value: str | None, default: float) -> float:
    """Seconds, at most a day; `default` where there are none, or none that can be read."""
    try:
        return float(min(parse_seconds(value, "seconds"), LONGEST_S)) if value is not None else default
    except PeerError:
        return default
