"""MESSAGE outside of calls (RFC 3428)."""

from typing import Final, Protocol

from pbx.call.authentication import Sender
from pbx.call.hunt import PRIVATE
from pbx.call.identity import called_user, wants_privacy
from pbx.call.passing import Passing
from pbx.call.ringing import Ringing, hop
from pbx.call.routing import Router
from pbx.errors import PeerError
from pbx.rules.decision import Reject, Ring
from pbx.sip.message import Request, Response
from pbx.sip.refusal import Refusal
from pbx.sip.stack import SipStack
from pbx.sip.transaction.key import TransactionKey

KEPT: Final = ("Content-Type", "Content-Language", "Date", "Subject")


class MessagesHost(Protocol):
    """The exchange."""

    stack: SipStack
    ringing: Ringing
    passing: Passing

    @property
    def router(self) -> Router: ...


def pass_message(host: MessagesHost, sender: Sender, request: Request, key: TransactionKey) -> None:
    """A message goes to every phone of the extension; the first to take it answers for all.

    Raises:
        PeerError: there is nobody to read it, or too much of the sender's is on its way already.
    """
    party = host.router.party(sender, is_private=wants_privacy(request))
    decision = host.router.dialled(party, called_user(request))
    if isinstance(decision, Reject):
        raise PeerError(decision.status, decision.reason)
    if not isinstance(decision, Ring):
        raise PeerError(404, "Nobody Reads Messages There")
    bindings = [b for name in decision.devices for b in host.ringing.places(name)]
    if not bindings:
        raise PeerError(480, "Temporarily Unavailable")
    kept = [(name, value) for name in KEPT for value in request.headers.get_all(name)]
    octets = len(request.body) + sum(len(value) for _, value in kept)
    username = sender.device.username
    if not host.passing.begin(username, octets, len(bindings)):
        raise Refusal(480, "Too Many Messages", (("Retry-After", "32"),))
    waiting = len(bindings)
    is_answered = False

    def answered(response: Response) -> None:
        nonlocal waiting, is_answered
        if response.status < 200:
            return
        host.passing.end(username, octets)
        if is_answered:
            return
        waiting -= 1
        if response.status < 300 or not waiting:
            is_answered = True
            host.stack.respond(request, key, PRIVATE.get(response.status, response.status))

    for binding in bindings:
        passed = host.ringing.request_to(binding, "MESSAGE", party, called_user(request), request)
        passed.headers.extend(kept)
        passed.body = request.body
        host.stack.send(passed, hop(binding), answered)
