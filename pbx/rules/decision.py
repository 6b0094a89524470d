"""What the rules decide about a call; each decision says why.

`why` is the reason that decided, `because` what led there, in order: sentences that name the settings that
count. Together they are the explanation of the call.
"""

from typing import Literal

from pbx.immutable import immutable

CallState = Literal["answered", "unanswered", "busy", "cancelled", "blocked", "failed"]


@immutable
class Shown:
    """Who an outside callee is shown.

    Attributes:
        number: ours, in E.164; "" = none that may be sent.
        original: the outside caller whose call is passed on, in E.164, where he is to be shown: in From by a
            trunk that takes foreign numbers, in Diversion and History-Info by the others. For a gateway also
            the key of who calls from inside.
        is_hidden: the callee sees nobody (`*67`, a caller who withholds his number).
    """

    number: str = ""
    name: str = ""
    original: str = ""
    is_hidden: bool = False


@immutable
class Outside:
    """A number outside of the office, and how it is reached.

    Attributes:
        number: E.164 with its "+"; an emergency number as it was dialled; what a gateway is to dial.
        payer: key of the extension that causes the leg: its usage limit counts it. "" = nobody pays.
        trunks: names, in the order in which they are tried; empty for a gateway.
        gateway: name of the gateway that takes the call, instead of trunks.
    """

    number: str
    payer: str
    shown: Shown
    trunks: tuple[str, ...] = ()
    gateway: str = ""
    rule: str = ""  # name of the outbound rule
    is_emergency: bool = False


@immutable
class Reject:
    """The caller is refused with a SIP status; with a `key`, its no-answer settings are asked first."""

    status: int
    reason: str
    why: str
    key: str = ""  # of the extension whose no-answer settings apply
    is_noted: bool = False  # the missed call is mailed
    announcement: str = ""  # the system prompt that the caller hears first
    because: tuple[str, ...] = ()
    state: CallState | None = None  # in the call record, where the status does not say it
    is_outbound: bool = False  # a number outside was dialled


@immutable
class Ring:
    """Devices (by their SIP user names) and outside numbers ring together; the first to answer wins.

    Attributes:
        no_answer_s: nobody answers within so many seconds: on to `after`, else 480. None: as long as it may.
        key: of the extension whose no-answer settings apply; "" = the caller is told what the phones said.
        after: who rings next when these do not answer, one after the other.
    """

    devices: tuple[str, ...]
    no_answer_s: float | None
    why: str
    key: str = ""
    outside: tuple[Outside, ...] = ()
    after: tuple["Ring", ...] = ()
    because: tuple[str, ...] = ()
    group: str = ""  # key of the group that was called
    shown_keys: tuple[tuple[str, str], ...] = ()  # phones that see another extension as the caller, its key

    def shown_to(self, device: str) -> str:
        """The key of the extension that a phone sees as the caller; "" = him who calls."""
        return next((key for name, key in self.shown_keys if name == device), "")


@immutable
class AskPasscode:
    """The caller is answered and asked for the passcode of `key`; then `then` rings, and he hears that."""

    key: str
    hash: str
    then: Ring
    why: str
    because: tuple[str, ...] = ()


@immutable
class AskPin:
    """A hot-desk phone where nobody is logged in dials outside: who gives his PIN makes this one call."""

    device: str
    dialled: str
    why: str
    because: tuple[str, ...] = ()


@immutable
class TakeMessage:
    """The caller is greeted and may leave a message for the extension `key`."""

    key: str
    why: str
    because: tuple[str, ...] = ()


@immutable
class Serve:
    """The PBX itself is who was called.

    Attributes:
        service: what it does, one of `rules.features.SERVICES`.
        argument: what was dialled after the code: a slot, a key.
    """

    service: str
    argument: str
    why: str
    because: tuple[str, ...] = ()


Decision = Reject | Ring | TakeMessage | Serve
DialDecision = Decision | AskPasscode | AskPin
