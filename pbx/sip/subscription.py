"""The implicit subscription that a REFER makes (RFC 3515 §2.4.4, RFC 6665), seen from the notifier."""

from collections.abc import Callable
from typing import Final, Protocol

from pbx.sip.message import REASONS, Request, Response

EXPIRES: Final = 180  # seconds


class InDialog(Protocol):
    """The leg over which the REFER came."""

    def make_request(
        self, method: str, extra: tuple[tuple[str, str], ...] = (), body: bytes = b""
    ) -> Request: ...
    def send(self, request: Request, handler: Callable[[Response], None]) -> None: ...


class ReferSubscription:
    """Tells the transferor how the call that it asked for gets on, as message/sipfrag (RFC 3420)."""

    def __init__(self, leg: InDialog, request: Request, is_first: bool) -> None:
        self._leg: InDialog | None = leg
        # RFC 3515 §2.4.6: the id parameter tells several REFERs of one dialog apart.
        self._event = "refer" if is_first else f"refer;id={request.cseq.number}"
        self._last = 0

    def notify(self, status: int, reason: str = "") -> None:
        """Send a NOTIFY; a final status ends the subscription."""
        leg = self._leg
        if leg is None or status == self._last:
            return
        self._last = status
        state = f"active;expires={EXPIRES}"
        if status >= 200:
            state = "terminated;reason=noresource"
            self._leg = None
        extra = (
            ("Event", self._event),
            ("Subscription-State", state),
            ("Content-Type", "message/sipfrag;version=2.0"),
        )
        line = f"SIP/2.0 {status} {reason or REASONS.get(status, 'Unknown')}\r\n"
        leg.send(leg.make_request("NOTIFY", extra, line.encode()), self._answered)

    def _answered(self, response: Response) -> None:
        if response.status == 481:  # RFC 6665 §4.2.2: it is forgotten there
            self.stop()

    def stop(self) -> None:
        """The transferor is gone: nobody is told."""
        self._leg = None


class Unsubscribed(ReferSubscription):
    """REFER with Refer-Sub: false (RFC 4488): the transferor wants no NOTIFY."""

    def __init__(self) -> None:
        self._leg = None
