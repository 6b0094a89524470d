"""Busy lamps: the event package `dialog` (RFC 4235), which shows whether an extension rings or talks.

A phone that watches others learns that they are called or talk, not with whom; and not the tags of their
dialogs, with which it could take their calls over (RFC 3891). To pick up a call there is a code to dial.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, Protocol
from xml.sax.saxutils import escape, quoteattr

from pbx.call.authentication import Sender
from pbx.call.leg import CALLING, UP
from pbx.call.subscription import Subscribers
from pbx.errors import PbxError, PeerError
from pbx.office.snapshot import Office
from pbx.sip.stack import SipStack

GAP_S: Final = 0.1  # between two looks at all calls


class Shown(NamedTuple):
    """One call of an extension, however many of its phones take part."""

    id: str
    direction: str  # "initiator" or "recipient", from the extension's point of view
    state: str  # "early", "confirmed" or "terminated" (RFC 4235 §3.7.1)


class _Party(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def trunk(self) -> str: ...


class ShownLeg(Protocol):
    """A leg, as far as a lamp sees it."""

    state: str

    @property
    def party(self) -> _Party: ...
    @property
    def is_caller(self) -> bool: ...


class ShownCall(Protocol):
    """A call, the same."""

    @property
    def id(self) -> str: ...
    @property
    def legs(self) -> Iterable[ShownLeg]: ...


def show_calls(calls: Iterable[ShownCall]) -> dict[str, tuple[Shown, ...]]:
    """What each extension that takes part in a call shows, by its key, in the order of the calls."""
    found: dict[str, dict[str, Shown]] = {}
    for call in calls:
        for leg in call.legs:
            if leg.state not in (CALLING, UP) or leg.party.trunk:  # whose number may look like a key
                continue
            name = f"{call.id}-{'i' if leg.is_caller else 'r'}"
            mine = found.setdefault(leg.party.key, {})
            if leg.state == UP:
                state = "confirmed"
            elif name in mine:
                continue
            else:
                state = "early"
            mine[name] = Shown(name, "initiator" if leg.is_caller else "recipient", state)
    return {key: tuple(mine.values()) for key, mine in found.items()}


def render_dialog_info(entity: str, version: int, shown: Iterable[Shown]) -> bytes:
    """The whole state of an extension (RFC 4235 §4.1).

    Args:
        entity: its URI.
        version: counts the NOTIFYs of a subscription from 0.
        shown: its calls; those that have just ended as "terminated", for phones that keep an account of them.
    """
    local = f"<local><identity>{escape(entity)}</identity></local>"
    dialogs = "".join(
        f"<dialog id={quoteattr(each.id)} direction={quoteattr(each.direction)}>"
        f"<state>{escape(each.state)}</state>{local}</dialog>\r\n"
        for each in shown
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n'
        f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="full" '
        f"entity={quoteattr(entity)}>\r\n{dialogs}</dialog-info>\r\n"
    ).encode()


class BusyLamps:
    """What each extension shows, and who is told when that changes."""

    subscribers: Subscribers
    name = "dialog"
    content_type = "application/dialog-info+xml"
    gap_s = GAP_S

    def __init__(
        self,
        stack: SipStack,
        calls: Mapping[str, ShownCall],
        domain: str,
        office: Callable[[], Office],
        hurt: Callable[[str, PbxError], None],
    ) -> None:
        self._stack, self._calls, self._domain, self._office, self._hurt = stack, calls, domain, office, hurt
        self._shown: dict[str, tuple[Shown, ...]] = {}  # at the last look
        self._ended: dict[str, tuple[Shown, ...]] = {}  # what the last change of each extension ended
        self._looked_at = float("-inf")
        self.is_watched = False
        self._is_known = False  # what is shown: it has been looked at since there are watchers

    # --- the package ---------------------------------------------------------------------------------------

    def watch(self, is_watched: bool) -> None:
        """From now on there are subscriptions, or none: then nothing needs a look."""
        self.is_watched = is_watched
        self._is_known = self._is_known and is_watched

    def resource_for(self, sender: Sender, user: str) -> str:
        """Any extension of the office; of a device the one that it belongs to."""
        if not user:
            return sender.extension.key
        office = self._office()
        if office.extension(user) is not None:
            return user
        found = office.device(user)
        if found is None:
            raise PeerError(404, "No Such Extension")
        return found[0].key

    def body(self, resource: str, version: int) -> bytes:
        # What changed since the last look is told after the next: no need to look anew for each NOTIFY.
        now = self._shown if self._is_known else show_calls(self._calls.values())
        shown = (*now.get(resource, ()), *self._ended.get(resource, ()))
        idle = (Shown(resource, "recipient", "terminated"),)  # an empty list says nothing to some phones
        return render_dialog_info(f"sip:{resource}@{self._domain}", version, shown or idle)

    # --- what changes --------------------------------------------------------------------------------------

    def stepped(self) -> None:
        """A step is over, while `is_watched`, in which any call may have changed.

        Looks at all of them, but not each time.
        """
        if not self._is_known:  # the first to watch has been told
            self._is_known = True
            self._shown, self._ended = show_calls(self._calls.values()), {}
            self._looked_at = self._stack.now
        elif self._stack.now >= self._looked_at + GAP_S:
            self._look()
        else:
            self._stack.timers.set((self, "look"), self._looked_at + GAP_S)

    def expire(self, timer: str) -> None:
        """The step in which this happens ends with a look."""

    def broke(self, error: PbxError) -> None:
        self._hurt("a busy lamp", error)

    # --- inside --------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._looked_at = self._stack.now
        before, self._shown = self._shown, show_calls(self._calls.values())
        for key in before.keys() | self._shown.keys():
            was, now = before.get(key, ()), self._shown.get(key, ())
            if was == now:
                continue
            names = {each.id for each in now}
            self._ended[key] = tuple(
                each._replace(state="terminated") for each in was if each.id not in names
            )
            if not now and not self._ended[key]:
                del self._ended[key]
            self.subscribers.changed(self.name, key)
