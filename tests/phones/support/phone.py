"""What every phone can do, whatever program it is: the one interface the tests are written against."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, Literal, TypeVar

from tests.phones.support.ports import Ports
from tests.phones.support.process import Program
from tests.phones.support.sound import Ear
from tests.phones.support.waiting import PATIENCE_S, WaitError, wait_until
from tests.phones.support.wire import Seen, registration_status

Found = TypeVar("Found")
Transport = Literal["udp", "tcp", "tls"]

TONES: Final = (400.0, 620.0, 860.0, 1140.0, 1480.0, 1900.0)  # no one a harmonic of another


class CallState(Enum):
    CALLING = "calling"  # our INVITE is out
    RINGING = "ringing"  # ... and 180 or 183 came
    INCOMING = "incoming"  # theirs is here and we ring
    ESTABLISHED = "established"
    ENDED = "ended"


@dataclass(slots=True)
class PhoneCall:
    """One call as its phone sees it. `number` counts this phone's calls from 0."""

    number: int
    is_incoming: bool
    state: CallState
    key: str  # the program's own name for it
    remote: str = ""
    status: int = 0  # the last status code that we know of
    reason: str = ""
    statuses: list[int] = field(default_factory=list)
    codec: str = ""
    srtp: str = ""
    direction: str = ""  # of the audio: sendrecv, sendonly, recvonly, inactive
    digits: str = ""
    transfer_statuses: list[int] = field(default_factory=list)
    since: dict[CallState, float] = field(default_factory=dict)  # monotonic seconds; only PJSIP's


@dataclass(frozen=True, slots=True)
class Answering:
    """What the phone does with a call that comes in.

    Args:
        status: 200 answers, 180 rings only, 183 rings with early media, 300 and more refuse.
        after_s: how long it rings before.
        contact: where a 3xx, which comes at once, sends the caller; only PJSIP's.
    """

    status: int = 200
    after_s: float = 0.0
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """Where and as whom a phone registers. An empty `username` makes a phone without a registrar."""

    username: str = ""
    password: str = ""
    domain: str = ""  # what stands behind the @: host or host:port
    server: str = ""  # host:port where requests go
    transport: Transport = "udp"
    srtp: Literal["off", "optional", "required"] = "off"
    codecs: tuple[str, ...] = ("PCMA",)
    host: str = "127.0.0.1"  # the phone's own address
    register: bool = True

    def uri(self, user: str) -> str:
        """How this phone dials `user`."""
        suffix = "" if self.transport == "udp" else f";transport={self.transport}"
        return f"sip:{user}@{self.server}{suffix}"


class Phone(ABC):
    """A phone program of its own process. Waits have deadlines and say what they waited for.

    A driver calls `_update` from its reader's thread, and the waits look at the calls under the same lock.
    """

    program = "phone"

    def __init__(self, name: str, account: Account, folder: Path, tone: float) -> None:
        self.name = name
        self.account = account
        self.folder = folder
        self.tone = tone
        self.calls: list[PhoneCall] = []
        self.messages: list[str] = []
        self._ports = Ports(40, account.host)  # signalling, control, and 20 for sound
        self.sip_port = self._ports.first
        self.control_port = self.sip_port + 8
        self.rtp_port = self.sip_port + 10
        self.changed = threading.Condition()
        self._program: Program | None = None
        folder.mkdir(parents=True, exist_ok=True)

    # -- to be written by each driver -----------------------------------------------------------

    @abstractmethod
    def start(self) -> None:
        """Start the program; with a registering account it registers at once."""

    @abstractmethod
    def call(self, uri: str) -> PhoneCall:
        """Dial; returns the call, which is under way."""

    @abstractmethod
    def answering(self, mode: Answering) -> None:
        """What to do with calls that come from now on."""

    @abstractmethod
    def answer(self, call: PhoneCall, status: int = 200) -> None: ...

    @abstractmethod
    def hangup(self, call: PhoneCall) -> None:
        """End it: BYE, or CANCEL, or refuse."""

    @abstractmethod
    def hold(self, call: PhoneCall) -> None: ...

    @abstractmethod
    def resume(self, call: PhoneCall) -> None: ...

    @abstractmethod
    def transfer(self, call: PhoneCall, uri: str) -> None:
        """Blind."""

    def transfer_attended(self, call: PhoneCall, consulted: PhoneCall) -> None:
        """Connect the other sides of two calls."""
        raise NotImplementedError(f"{self.program} has no attended transfer")

    @abstractmethod
    def dtmf(self, call: PhoneCall, digits: str) -> None:
        """Press keys (RFC 4733)."""

    @abstractmethod
    def ear(self, call: PhoneCall) -> Ear:
        """What it hears in that call."""

    @abstractmethod
    def leave(self) -> None:
        """Tell the program to unregister and to end, and wait for that a while."""

    @abstractmethod
    def wire(self) -> list[Seen]:
        """The SIP messages so far."""

    def stop(self) -> None:
        """Unregister, then end the program; safe to call twice."""
        if self._program is not None and self._program.is_running:
            self.leave()
        self.kill()
        self._ports.release()

    def kill(self) -> None:
        """End it without a word, as when the plug is pulled."""
        if self._program is not None:
            self._program.kill()
            self._program = None

    # -- the same for all -----------------------------------------------------------------------

    @property
    def contact(self) -> str:
        """Its address for calls without a server."""
        suffix = "" if self.account.transport == "udp" else f";transport={self.account.transport}"
        host = f"[{self.account.host}]" if ":" in self.account.host else self.account.host
        port = self.sip_port + (1 if self.account.transport == "tls" else 0)
        return f"sip:{self.account.username or self.name}@{host}:{port}{suffix}"

    def dial(self, user: str) -> PhoneCall:
        """Call an extension at our server."""
        return self.call(self.account.uri(user))

    def wait_registered(self, timeout: float = PATIENCE_S) -> None:
        status = self.wait_registration(timeout)
        assert status == 200, f"{self.name} ({self.program}): REGISTER got {status}"

    def wait_registration(self, timeout: float = PATIENCE_S) -> int:
        """Wait for a final answer to REGISTER and return its status."""
        return wait_until(
            f"{self.name}'s REGISTER is answered", lambda: registration_status(self.wire()), timeout
        )

    def log_text(self) -> str:
        """What the program wrote on its outputs."""
        log = self.folder / "out.log"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    def received(self, start: str) -> list[Seen]:
        """The received messages whose first line begins so ("CANCEL ", "SIP/2.0 403")."""
        return [message for message in self.wire() if message.way == "RX" and message.text.startswith(start)]

    def sent(self, start: str) -> list[Seen]:
        return [message for message in self.wire() if message.way == "TX" and message.text.startswith(start)]

    def wait_received(self, start: str, timeout: float = PATIENCE_S, count: int = 1) -> list[Seen]:
        return wait_until(
            f"{self.name} receives {count} {start!r}",
            lambda: found if len(found := self.received(start)) >= count else [],
            timeout,
        )

    def ladder(self) -> str:
        """The messages in short, for failure messages."""
        return "\n".join(
            f"{'<-' if message.way == 'RX' else '->'} {message.first_line}  [{message.header('CSeq')}]"
            for message in self.wire()
        )

    def wait_incoming(self, timeout: float = PATIENCE_S, number: int | None = None) -> PhoneCall:
        """The next call that came in and still rings or is answered already.

        Args:
            number: wait for a call with at least this number; by default one that hasn't ended.
        """

        def find() -> PhoneCall | None:
            return next(
                (
                    call
                    for call in self.calls
                    if call.is_incoming
                    and (call.number >= number if number is not None else call.state is not CallState.ENDED)
                ),
                None,
            )

        found = self._wait("a call comes in", find, timeout)
        assert found is not None
        return found

    def wait_state(self, call: PhoneCall, *states: CallState, timeout: float = PATIENCE_S) -> None:
        """Wait until `call` is in one of `states`; a call that ends instead fails at once."""
        wanted = " or ".join(state.value for state in states)

        def question() -> bool:
            if call.state is CallState.ENDED and CallState.ENDED not in states:
                raise AssertionError(
                    f"{self.name}: call {call.number} ended with {call.status} {call.reason} before {wanted}"
                )
            return call.state in states

        self._wait(f"call {call.number} {wanted}", question, timeout)

    def wait_established(self, call: PhoneCall, timeout: float = PATIENCE_S) -> None:
        self.wait_state(call, CallState.ESTABLISHED, timeout=timeout)

    def wait_ended(self, call: PhoneCall, timeout: float = PATIENCE_S) -> int:
        """Wait for the end; returns the last status."""
        self.wait_state(call, CallState.ENDED, timeout=timeout)
        return call.status

    def wait_digits(self, call: PhoneCall, digits: str, timeout: float = PATIENCE_S) -> None:
        try:
            self._wait(f"digits {digits}", lambda: len(call.digits) >= len(digits), timeout)
        finally:
            assert call.digits == digits, f"{self.name} received {call.digits!r}, not {digits!r}"

    def wait_for(self, what: str, question: Callable[[], object], timeout: float = PATIENCE_S) -> None:
        """Wait for anything else that this phone reports."""
        self._wait(what, question, timeout)

    def _wait(self, what: str, question: Callable[[], Found], timeout: float) -> Found:
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                if answer := question():
                    return answer
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WaitError(f"{self.name} ({self.program}): waited {timeout:g} s in vain for: {what}")
                self.changed.wait(min(left, 0.5))
                self._check_alive()

    def _check_alive(self) -> None:
        if self._program is not None and not self._program.is_running:
            raise AssertionError(
                f"{self.name} ({self.program}) died with {self._program.exit_code}: "
                + "\n".join(self._program.lines[-20:])
            )

    def _new_call(self, key: str, is_incoming: bool, remote: str = "") -> PhoneCall:
        """With the lock held."""
        state = CallState.INCOMING if is_incoming else CallState.CALLING
        call = PhoneCall(len(self.calls), is_incoming, state, key, remote)
        self.calls.append(call)
        return call

    def _find(self, key: str) -> PhoneCall | None:
        """The latest call of that key (programs reuse their numbers). With the lock held."""
        return next((call for call in reversed(self.calls) if call.key == key), None)
