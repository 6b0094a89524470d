"""Keeping one session alive (RFC 4028): refreshed in time by us, or found dead when the peer stops."""

from collections.abc import Callable
from typing import Final, Protocol

from pbx.errors import PbxError
from pbx.sip.headers import Extra
from pbx.sip.message import Request, Response
from pbx.sip.session_timer import SessionTimer
from pbx.sip.stack import SipStack

BUSY_S = 5.0  # another offer is on its way
REFUSED_S = 10.0
NOT_NOW: Final = (422, 491, 500, 503)  # an UPDATE may be taken later


class RefreshHost(Protocol):
    """The renegotiation of a leg, as its session timer sees it."""

    allows: frozenset[str]
    is_updating: bool

    @property
    def is_busy(self) -> bool: ...
    @property
    def is_up(self) -> bool: ...
    def send_in_dialog(self, method: str, extra: Extra, handler: Callable[[Response], None]) -> None: ...
    def refresh_by_invite(self, done: Callable[[int], None]) -> None: ...
    def lose(self, why: str) -> None: ...
    def idle(self) -> None: ...
    def broke(self, error: PbxError) -> None: ...


class SessionRefresh:
    """The session timer of one leg."""

    def __init__(self, stack: SipStack, host: RefreshHost) -> None:
        self.timer = SessionTimer()
        self._stack = stack
        self._host: RefreshHost | None = host  # until the dialog is over
        self._expires_at = 0.0  # when the session counts as dead

    def start(self) -> None:
        """The session is as fresh as can be: a 2xx to an INVITE or UPDATE has come or gone."""
        now = self._stack.now
        self._expires_at = now + self.timer.interval
        self._stack.timers.set((self, "session"), now + self.timer.wait)

    def stop(self) -> None:
        """The dialog is over."""
        self._stack.timers.set((self, "session"), None)
        self._host = None

    def take_request(self, request: Request) -> Extra:
        """Agree with an INVITE or UPDATE of the peer; returns the headers of the 2xx.

        Raises:
            PeerError: 400 or 422.
        """
        return self.timer.take_request(request)

    def take_answer(self, response: Response) -> None:
        """Agree with a 2xx to ours."""
        self.timer.take_response(response)
        self.start()

    def broke(self, error: PbxError) -> None:
        """A refresh failed half way."""
        if self._host is not None:
            self._host.broke(error)

    def probe(self) -> None:
        """Refresh at once: whether the peer is there still is in doubt."""
        host = self._host
        if host is not None and host.is_up and not host.is_busy:
            self._refresh(host)

    def expire(self, _timer: str) -> None:
        """A refresh is due, or none has come (RFC 4028 §10)."""
        host = self._host
        if host is None or not host.is_up:
            return
        if not self.timer.we_refresh or self._stack.now >= self._expires_at:
            host.lose("Session timer expired")
        elif host.is_busy:
            self._later(BUSY_S)
        else:
            self._refresh(host)

    # --- inside --------------------------------------------------------------------------------------------

    def _refresh(self, host: RefreshHost) -> None:
        self._stack.timers.set((self, "session"), self._expires_at)
        if "UPDATE" in host.allows:
            host.is_updating = True
            host.send_in_dialog("UPDATE", self.timer.request_headers(), self._updated)
        else:
            host.refresh_by_invite(self._reinvited)

    def _updated(self, response: Response) -> None:
        host = self._host
        if response.status < 200 or host is None:
            return
        host.is_updating = False
        if not host.is_up:
            return
        if response.status < 300:
            self.take_answer(response)
        elif response.status in (408, 481):
            host.lose(f"session refresh answered {response.status}")
            return
        elif response.status in NOT_NOW:
            if response.status == 422:
                self.timer.take_too_small(response)
            self._later(BUSY_S)
        else:  # whatever its Allow says: some refuse an UPDATE without an offer, with 403 or 488, say
            host.allows -= {"UPDATE"}
            self._refresh(host)
            return
        host.idle()

    def _reinvited(self, status: int) -> None:
        if status >= 300 and self._host is not None and self._host.is_up:
            self._later(REFUSED_S)

    def _later(self, seconds: float) -> None:
        due = min(self._stack.now + seconds, self._expires_at)
        self._stack.timers.set((self, "session"), due)
