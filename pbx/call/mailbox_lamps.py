"""Message waiting (RFC 3842): the package `message-summary`, and NOTIFYs to phones that do not subscribe."""

from collections.abc import Callable
from functools import partial
from typing import Final

from pbx.call.authentication import Sender
from pbx.call.quirks import is_load_generator
from pbx.call.subscription import Subscribers
from pbx.errors import PbxError, PeerError
from pbx.office.snapshot import Office
from pbx.sip.dialog import hop_to, next_hop
from pbx.sip.headers import Headers
from pbx.sip.location import Binding, LocationService
from pbx.sip.message import Request, Response
from pbx.sip.stack import SipStack

FIRST_S: Final = 2.0  # after a registration: time to subscribe
NOTHING: Final = (0, 0)
REFUSED: Final = (-1, -1)  # the phone does not take it: it is not asked again until it registers anew

Told = dict[tuple[str, str], tuple[int, int]]


class MailboxLamps:
    """What each mailbox holds, and who has been told so."""

    subscribers: Subscribers
    name = "message-summary"
    content_type = "application/simple-message-summary"
    gap_s = 1.0

    def __init__(
        self,
        stack: SipStack,
        location: LocationService,
        domain: str,
        office: Callable[[], Office],
        hurt: Callable[[str, PbxError], None],
    ) -> None:
        self._hurt = hurt
        self._stack, self._location, self._domain, self._office = stack, location, domain, office
        self._counts: dict[str, tuple[int, int]] = {}
        self._told: dict[str, Told] = {}  # by device, then by contact and Call-ID of the registration

    # --- the package ---------------------------------------------------------------------------------------

    def watch(self, is_watched: bool) -> None:
        """Who does not watch is told, too."""

    def resource_for(self, sender: Sender, user: str) -> str:
        """A device's own mailbox, and no other."""
        own = sender.extension.key
        if user not in ("", own, sender.device.username):
            raise PeerError(403, "Not Your Mailbox")
        return own

    def body(self, resource: str, version: int) -> bytes:  # noqa: ARG002  # it carries no version
        new, saved = self._counts.get(resource, NOTHING)
        return render_summary(f"sip:{resource}@{self._domain}", new, saved)

    # --- what changes --------------------------------------------------------------------------------------

    def mailbox_changed(self, mailbox: str, new: int, saved: int) -> None:
        """A mailbox holds so many new and saved messages now; every phone of its extension is told."""
        if (new, saved) == self._counts.get(mailbox, NOTHING):
            return
        self._counts[mailbox] = (new, saved)
        self.subscribers.changed(self.name, mailbox)
        extension = self._office().extension(mailbox)
        for device in extension.devices if extension is not None else ():
            self._tell_unsubscribed(device.username, mailbox)

    def registered(self, username: str, mailbox: str) -> None:
        """A device has registered, or refreshed that: its lamp may not be right."""
        if self._counts.get(mailbox, NOTHING) != NOTHING or username in self._told:
            self._stack.timers.set((self, username), self._stack.now + FIRST_S)

    def expire(self, timer: str) -> None:
        """The time to subscribe is over; `timer` is the device's name."""
        found = self._office().device(timer)
        if found is not None:
            self._tell_unsubscribed(timer, found[0].key)

    def broke(self, error: PbxError) -> None:
        """A NOTIFY could not be sent; the next registration tries again."""
        self._hurt("a message-waiting NOTIFY", error)

    # --- inside --------------------------------------------------------------------------------------------

    def _tell_unsubscribed(self, username: str, mailbox: str) -> None:
        counts, before = self._counts.get(mailbox, NOTHING), self._told.pop(username, {})
        told: Told = {}
        for binding in self._location.bindings(username, self._stack.now):
            key = (binding.contact, binding.call_id)
            was = before.get(key, NOTHING)
            if is_load_generator(binding.user_agent):
                continue
            if self.subscribers.has(self.name, username, binding.flow.peer):
                continue
            if was in (REFUSED, counts):
                told[key] = was
            else:
                told[key] = counts
                self._send(username, mailbox, binding)
        if any(each != NOTHING for each in told.values()):
            self._told[username] = told

    def _send(self, username: str, mailbox: str, binding: Binding) -> None:
        stack, address = self._stack, f"<sip:{mailbox}@{self._domain}>"
        headers = Headers(
            [
                ("Max-Forwards", "70"),
                *(("Route", route) for route in binding.path),
                ("From", f"{address};tag={stack.entropy.token()}"),
                ("To", address),
                ("Call-ID", stack.entropy.token()),
                ("CSeq", "1 NOTIFY"),
                ("Event", self.name),
                ("Subscription-State", "active"),
                ("Content-Type", self.content_type),
            ]
        )
        request = Request("NOTIFY", binding.contact, headers, self.body(mailbox, 0))
        flow = hop_to(next_hop(binding.path, binding.contact), binding.flow, binding.behind_nat)
        request.headers.add("Contact", f"<{stack.own_uri(flow)}>")
        answered = partial(self._answered, username, (binding.contact, binding.call_id))
        stack.send(request, flow, answered, owner=self, by_this_flow=binding.behind_nat)

    def _answered(self, username: str, key: tuple[str, str], response: Response) -> None:
        told = self._told.get(username, {})
        if response.status < 300 or key not in told:
            return
        if response.status in (408, 503):
            del told[key]  # it was not there
        else:
            told[key] = REFUSED


def render_summary(account: str, new: int, saved: int) -> bytes:
    """A message summary (RFC 3842 §5.2).

    Args:
        account: the mailbox's URI.
        new, saved: voice messages; none of them is urgent, for nobody can say so.
    """
    waiting = "yes" if new else "no"
    return (
        f"Messages-Waiting: {waiting}\r\nMessage-Account: {account}\r\nVoice-Message: {new}/{saved} (0/0)\r\n"
    ).encode()
