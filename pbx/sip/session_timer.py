"""Session timers (RFC 4028): a dialog whose other side has died is found and ended."""

from dataclasses import dataclass
from typing import Final

from pbx.sip.capabilities import option_tags
from pbx.sip.fields import SessionExpires, parse_seconds, parse_session_expires
from pbx.sip.grammar import MalformedMessageError
from pbx.sip.message import Request, Response
from pbx.sip.refusal import Refusal

MIN_SE: Final = 90  # seconds; RFC 4028 §5 allows nothing less
DEFAULT: Final = 1800  # seconds, the value of §4


class IntervalTooSmallError(Refusal):
    """422, with the Min-SE that would do (§6)."""

    def __init__(self) -> None:
        super().__init__(422, "Session Interval Too Small", (("Min-SE", str(MIN_SE)),))


@dataclass(slots=True)
class SessionTimer:
    """What was agreed with one peer: `interval` in seconds, and whether we are the refresher."""

    interval: int = DEFAULT
    we_refresh: bool = True
    min_se: int = MIN_SE

    def request_headers(self) -> tuple[tuple[str, str], ...]:
        """For our INVITE or UPDATE (§7.1)."""
        refresher = ";refresher=uac" if self.we_refresh else ";refresher=uas"
        return (("Session-Expires", f"{self.interval}{refresher}"), ("Min-SE", str(self.min_se)))

    def first_headers(self) -> tuple[tuple[str, str], ...]:
        """For the INVITE that opens the session: who refreshes is left to the other side."""
        return (("Session-Expires", str(self.interval)), ("Min-SE", str(self.min_se)))

    def take_request(self, request: Request) -> tuple[tuple[str, str], ...]:
        """Agree with an INVITE or UPDATE of the peer; returns the headers of our 2xx (§9).

        Raises:
            IntervalTooSmallError: it asks for less than `MIN_SE`.
        """
        wish = _wish(request)
        can = "timer" in option_tags(request.headers, "Supported")
        if wish is None:
            self.we_refresh = not can or self.we_refresh
            self.interval = max(DEFAULT, _min_se(request))
        else:
            if wish.seconds < MIN_SE and can:
                raise IntervalTooSmallError
            self.interval = max(min(wish.seconds, DEFAULT), _min_se(request), MIN_SE)
            self.we_refresh = not can or wish.refresher == "uas"
        if not can:
            return (("Session-Expires", f"{self.interval};refresher=uas"),)
        refresher = "uas" if self.we_refresh else "uac"
        require = () if self.we_refresh else (("Require", "timer"),)
        return (("Session-Expires", f"{self.interval};refresher={refresher}"), *require)

    def take_response(self, response: Response) -> None:
        """Agree with a 2xx to our request (§7.2): without a word from the peer, we refresh."""
        try:
            wish = _wish(response)
        except MalformedMessageError:  # the call stands whatever it says here
            wish = None
        if wish is None:
            self.we_refresh = True
            return
        self.interval = max(wish.seconds, MIN_SE)
        self.we_refresh = wish.refresher != "uas"

    def take_too_small(self, response: Response) -> bool:
        """Raise the interval as a 422 demands; False when it asks for nothing more than we offered."""
        least = _min_se(response)
        if least <= self.interval:
            return False
        self.interval = self.min_se = least  # §7.4: the Min-SE of the retry is the largest that was asked for
        return True

    @property
    def wait(self) -> float:
        """Seconds until the refresh is due, or until the session counts as dead (§10)."""
        if self.we_refresh:
            return self.interval / 2
        return self.interval - min(32.0, self.interval / 3)


def _wish(message: Request | Response) -> SessionExpires | None:
    value = message.headers.first.get("Session-Expires")
    return parse_session_expires(value) if value else None


def _min_se(message: Request | Response) -> int:
    """What it demands, at most a day; 0 = nothing, or nothing that can be read."""
    value = message.headers.first.get("Min-SE")
    try:
        return min(parse_seconds(value, "Min-SE"), 86_400) if value is not None else 0
    except MalformedMessageError:
        return 0
