"""Who sends a request: digest, the device behind it, and what that device may say about itself."""

from collections.abc import Callable

from pbx.call.identity import ANONYMOUS_HOST
from pbx.call.quirks import digest_algorithms, user_agent_of
from pbx.immutable import immutable
from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.snapshot import Office
from pbx.sip.attempts import AttemptLimiter
from pbx.sip.digest import Accepted, Authenticator, Ha1Pair, Refused
from pbx.sip.fields import NameAddr
from pbx.sip.flow import Flow
from pbx.sip.location import LocationService
from pbx.sip.message import Request
from pbx.sip.refusal import Refusal
from pbx.sip.uri import SipUri


@immutable
class Sender:
    """The device that a request comes from, and its extension."""

    extension: Extension
    device: Device


class Gatekeeper:
    """Challenges and checks every request that makes the server act (RFC 3261 §22)."""

    def __init__(
        self,
        authenticator: Authenticator,
        limiter: AttemptLimiter,
        office: Callable[[], Office],
        is_ours: Callable[[str], bool],
        location: LocationService,
        note: Callable[..., None],
    ) -> None:
        self._authenticator = authenticator
        self._limiter = limiter
        self._office = office
        self._is_ours = is_ours
        self._location = location
        self._note = note

    def admit(self, request: Request, flow: Flow, now: float, *, is_emergency: bool = False) -> Sender:
        """The sender of `request`.

        Args:
            is_emergency: an emergency number is dialled: no other phone's mistakes keep it from being heard,
                only those of the account itself.

        Raises:
            Refusal: 401 with challenges, or 403 saying why.
        """
        address = flow.peer[0]
        outcome = self._authenticator.check(
            request.method,
            request.headers.get_all("Authorization") or request.headers.get_all("Proxy-Authorization"),
            self._ha1,
            now,
            request.uri,
            client=address,
        )
        is_registered = is_emergency or self._location.is_registered_from(address)
        is_refused = self._limiter.is_refused(address, outcome.username, now, is_registered)
        if is_refused and not (isinstance(outcome, Accepted) and self._is_at_home(outcome.username, flow)):
            raise self._too_many()
        if not isinstance(outcome, Accepted):
            if outcome.is_wrong:
                self._mistaken(request, flow, outcome, now, is_registered)
            raise self._ask(request, address, now, outcome.is_stale)
        if not is_refused:
            self._limiter.succeeded(address, outcome.username)
        found = self._office().device(outcome.username)
        if found is None:  # gone since the lookup: cannot be, within one step
            raise Refusal(403, "Forbidden")
        sender = Sender(*found)
        self._check_transport(sender, flow)
        is_register = request.method == "REGISTER"
        if is_register:
            self._check_name(request.to, "To", sender)
        if not is_register or request.from_.uri is not request.to.uri:  # mostly it is the very same
            self._check_name(request.from_, "From", sender)
        return sender

    def challenge(self, request: Request, flow: Flow, now: float, *, is_emergency: bool) -> Refusal:
        """What a request without credentials is answered; `is_emergency` as for `admit`."""
        address = flow.peer[0]
        is_registered = is_emergency or self._location.is_registered_from(address)
        if self._limiter.is_refused(address, None, now, is_registered):
            return self._too_many()
        return self._ask(request, address, now)

    def _is_at_home(self, username: str, flow: Flow) -> bool:
        """Whether a request comes by the very flow by which its device is registered: a stranger who guesses
        behind the same NAT sends from another port, and does not silence the phone whose account he tries."""
        return username in self._location.by_flow(flow)

    def _mistaken(
        self, request: Request, flow: Flow, outcome: Refused, now: float, is_registered: bool
    ) -> None:
        """Count a wrong user name or password, and tell it, but not without end."""
        address, username = flow.peer[0], outcome.username
        is_told = self._limiter.is_over(address, now)
        self._limiter.record(address, username, now)
        if not is_told:
            text = "{method} of {user} from {peer} refused: {why}"
            peer = f"{address}:{flow.peer[1]}"
            self._note(text, method=request.method, user=username, peer=peer, why=outcome.why)
            if is_registered and self._limiter.is_over(address, now):
                self._note("further wrong passwords from {address} are not told one by one", address=address)
        is_known = username is not None and self._ha1(username) is not None
        if (is_known or not is_told) and self._limiter.is_refused(address, username, now, is_registered):
            self._note_refused(address, username, is_registered)

    def _ask(self, request: Request, address: str, now: float, is_stale: bool = False) -> Refusal:
        algorithms = digest_algorithms(user_agent_of(request))
        challenges = self._authenticator.challenge(now, is_stale, client=address, algorithms=algorithms)
        return Refusal(401, "Unauthorized", [("WWW-Authenticate", value) for value in challenges])

    def _too_many(self) -> Refusal:
        minutes = self._limiter.window_s / 60
        text = f"Too many wrong passwords from this address: wait {minutes:.0f} minutes"
        warning = ("Warning", f'399 {self._authenticator.realm} "{text}"')
        return Refusal(403, "Too Many Wrong Passwords", (warning,))

    def _note_refused(self, address: str, username: str | None, is_registered: bool) -> None:
        """Said once, when it begins: for minutes even the right password will be refused."""
        self._note(
            "{who} is refused for up to {minutes:.0f} minutes: {count} wrong passwords{last}",
            who=f"{username} from {address}" if is_registered else address,
            minutes=self._limiter.window_s / 60,
            count=self._limiter.failed,
            last="" if is_registered else f", the last for {username}",
        )

    def _ha1(self, username: str) -> Ha1Pair | None:
        found = self._office().device(username)
        return Ha1Pair(found[1].ha1_md5, found[1].ha1_sha256) if found is not None else None

    def _check_transport(self, sender: Sender, flow: Flow) -> None:
        if sender.device.tls and not flow.is_secure:
            text = f'399 {self._authenticator.realm} "This device is set to TLS and SRTP: use SIP over TLS"'
            raise Refusal(403, "TLS Required", (("Warning", text),))

    def _check_name(self, claimed: NameAddr, field: str, sender: Sender) -> None:
        """The name in From must be the device's: its user name or its extension's key (product §2)."""
        uri = claimed.uri
        if field == "From" and isinstance(uri, SipUri) and uri.host.lower() == ANONYMOUS_HOST:
            return  # RFC 3323 §4.1.1.3: a phone that withholds its name; its credentials say who it is
        if (
            not isinstance(uri, SipUri)
            or uri.user not in (sender.device.username, sender.extension.key)
            or not self._is_ours(uri.host)
        ):
            text = f'399 {self._authenticator.realm} "{field} is not the authenticated device"'
            raise Refusal(403, "Forbidden", (("Warning", text),))
