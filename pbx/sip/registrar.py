"""The registrar: what a REGISTER does to the location service, and its answer (RFC 3261 §10.3)."""

from collections.abc import Container, Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from pbx.address import hostport
from pbx.errors import UsageError
from pbx.immutable import immutable
from pbx.sip.dialog import is_behind_nat
from pbx.sip.fields import NameAddr, parse_name_addr, parse_q, parse_seconds
from pbx.sip.flow import Flow
from pbx.sip.grammar import MalformedMessageError
from pbx.sip.headers import Extra
from pbx.sip.location import Binding, LocationService, echoed_params
from pbx.sip.message import Request
from pbx.sip.refusal import Refusal
from pbx.sip.uri import SipUri, parse_uri

MOST_CONTACTS: Final = 20  # in one request: all that a device may have, and others in their place
LONGEST_USER_AGENT: Final = 200
LONGEST_REMEMBERED: Final = 512  # characters of a Contact line that is remembered as read
MOST_REMEMBERED: Final = 4096
MAX_REG_ID: Final = 2**31 - 1

_place: Final = attrgetter("contact", "flow")


@immutable
class RegisterResult:
    """The answer to a REGISTER, and the device's live bindings before and after it."""

    status: int
    reason: str
    headers: Extra
    before: Sequence[Binding]
    after: Sequence[Binding]

    @property
    def changed(self) -> bool:
        """Whether any binding is another one now (a new expiry counts)."""
        return self.after != self.before

    @property
    def is_elsewhere(self) -> bool:
        """Whether the device is reached at other places now."""
        return places(self.after) != places(self.before)


def places(bindings: Iterable[Binding]) -> set[tuple[str, Flow]]:
    """Where they are reached."""
    return set(map(_place, bindings))


class _Contact(NamedTuple):
    """One Contact value of a REGISTER."""

    text: str  # the URI as written
    uri: SipUri
    seconds: int  # that it is to be bound for, 0: no longer
    q: float
    instance: str
    reg_id: int | None
    params: str


class Registrar:
    """Binds devices to contacts. Whoever asks is known by then: steps 1 to 5 of RFC 3261 §10.3 come before.

    SIP outbound (RFC 5626) is taken part in where the flow can be kept alive and watched. Elsewhere a phone
    that offers it is registered the plain way, never refused with 439: some stay unregistered after that.
    No GRUU is handed out (RFC 5627), for some phones would use it where it leads nowhere.
    """

    def __init__(
        self,
        location: LocationService,
        *,
        min_expires: int = 60,
        max_expires: int = 7200,
        default_expires: int = 3600,
        max_contacts: int = 10,
    ) -> None:
        """Make one.

        Args:
            location: what it keeps.
            min_expires: seconds; less is answered 423. At most 3600 (RFC 3261 §10.3, step 7).
            max_expires: seconds; more is cut to it.
            default_expires: seconds, for a phone that names none.
            max_contacts: of one device; the one refreshed longest ago gives way.

        Raises:
            UsageError: limits that contradict one another.
        """
        if not 0 <= min_expires <= min(3600, default_expires) <= max_expires or max_contacts < 1:
            raise UsageError(
                f"registrar limits: {min_expires}, {default_expires}, {max_expires}, {max_contacts}"
            )
        self._location = location
        self._min = min_expires
        self._max = max_expires
        self._default = default_expires
        self._max_contacts = max_contacts
        # By Contact line and Expires: phones refresh with the same ones, word for word.
        self._read: dict[tuple[str, str | None], tuple[_Contact, ...]] = {}

    def register(self, request: Request, username: str, flow: Flow, now: float) -> RegisterResult:
        """Do what a REGISTER of the device `username` says: all of it or, when it is refused, nothing.

        Refused are: a `*` that is not alone or without `Expires: 0`, and contacts that cannot be used (400);
        an interval that is too short (423); a request older than what is known of its Call-ID (500).

        Raises:
            MalformedMessageError: 400, a Contact or Path that cannot be read.
        """
        before = [binding for binding in self._location.stored(username) if binding.expires_at > now]
        line = request.headers.first.get("Contact")
        contacts: tuple[_Contact, ...] = ()
        try:
            if line is None:  # a query
                after = before
            elif line == "*":
                after = _without_all(request, before)
            else:
                contacts = self._contacts(request, line)
                after = self._with_contacts(request, before, contacts, flow, now)
        except Refusal as refused:
            return RegisterResult(refused.status, refused.reason, refused.headers, before, before)
        if after != before:
            self._location.replace(username, tuple(after))
        is_outbound = self._is_outbound(request, contacts, flow)
        return RegisterResult(200, "OK", _headers(request, after, now, is_outbound), before, after)

    # --- inside --------------------------------------------------------------------------------------------

    def _contacts(self, request: Request, line: str) -> tuple[_Contact, ...]:
        """The Contact values, `line` being the first of their header lines."""
        headers = request.headers
        if headers.has_repeated and len(headers.get_all("Contact")) > 1:
            return self._read_contacts(request)
        key = line, headers.first.get("Expires")
        known = self._read.get(key)
        if known is None:
            known = self._read_contacts(request)
            if len(line) + len(key[1] or "") <= LONGEST_REMEMBERED:
                if len(self._read) >= MOST_REMEMBERED:
                    self._read.clear()
                self._read[key] = known
        return known

    def _read_contacts(self, request: Request) -> tuple[_Contact, ...]:
        """Each is bound for the seconds that it says itself, else those of Expires, else the default."""
        values = request.contacts
        if len(values) > MOST_CONTACTS:
            raise Refusal(400, "Too Many Contacts")
        common = _expires(request)
        if common is None:
            common = self._default
        contacts = [_read_contact(value, common, self._default) for value in values]
        if any(0 < contact.seconds < self._min for contact in contacts):
            raise Refusal(423, "Interval Too Brief", (("Min-Expires", str(self._min)),))
        if sum(contact.seconds > 0 for contact in contacts) > 1 and any(each.reg_id for each in contacts):
            raise Refusal(400, "One Contact With A reg-id At A Time")  # RFC 5626 §4.2
        return tuple(contact._replace(seconds=min(contact.seconds, self._max)) for contact in contacts)

    def _with_contacts(
        self, request: Request, before: list[Binding], contacts: tuple[_Contact, ...], flow: Flow, now: float
    ) -> list[Binding]:
        """Step 7: each contact is added, refreshed or removed. Refreshed longest ago comes first."""
        first = request.headers.first
        path = _path(request) if "Path" in first else ()
        user_agent = first.get("User-Agent", "")[:LONGEST_USER_AGENT]
        received = hostport(*flow.peer) if is_behind_nat(request, flow) else ""
        call_id, cseq = first["Call-ID"], request.cseq.number
        bindings = before.copy()
        for contact in contacts:
            text, _, seconds, q, instance, reg_id, params = contact
            until = now + seconds
            new = Binding(
                text, flow, until, call_id, cseq, path, q, instance, reg_id, user_agent, received, params
            )
            _update(bindings, contact, new)
        return bindings[-self._max_contacts :]

    def _is_outbound(self, request: Request, contacts: tuple[_Contact, ...], flow: Flow) -> bool:
        """Whether the phone may rely on this flow, and so has to keep it alive (RFC 5626 §6)."""
        if "Supported" not in request.headers.first or not any(contact.reg_id for contact in contacts):
            return False
        if "outbound" not in [tag.lower() for tag in request.headers.values("Supported")]:
            return False
        if "Path" in request.headers:  # the flow to the phone is its edge proxy's
            return any("ob" in _uri_params(value) for value in _path(request))
        # Over UDP we would have to answer STUN, with which phones watch such a flow (RFC 5626 §4.4.2).
        return flow.is_reliable and len(request.headers.values("Via")) == 1


def _without_all(request: Request, live: list[Binding]) -> list[Binding]:
    """RFC 3261 §10.3, step 6: every binding goes."""
    if len(request.headers.get_all("Contact")) > 1 or _expires(request) != 0:
        raise Refusal(400, "Contact: * Goes Alone With Expires: 0")
    for binding in live:
        _check_order(binding, request.call_id, request.cseq.number)
    return []


def _update(bindings: list[Binding], contact: _Contact, new: Binding) -> None:
    """Step 7 for one contact, which becomes the binding `new`, or none with 0 seconds."""
    same = [binding for binding in bindings if _is_same(binding, contact)]
    for binding in same:
        if contact.seconds and binding.cseq == new.cseq and binding.call_id == new.call_id:
            return  # made by this very request: a copy of it came, or of the contact within it
        _check_order(binding, new.call_id, new.cseq)
    if contact.seconds and contact.instance:
        same += [binding for binding in bindings if _is_before_reboot(binding, contact, new.call_id)]
    if same:
        bindings[:] = [binding for binding in bindings if binding not in same]
    if contact.seconds:
        bindings.append(new)


def _headers(request: Request, bindings: Sequence[Binding], now: float, is_outbound: bool) -> Extra:
    """Step 8: the 200 lists every binding."""
    headers = [("Contact", binding.render(now)) for binding in bindings]
    if "Path" in request.headers.first:  # RFC 3327 §5.3
        headers += [("Path", value) for value in request.headers.get_all("Path")]
        headers.append(("Supported", "path, outbound"))
    if is_outbound:
        headers.append(("Require", "outbound"))
    return tuple(headers)


def _expires(request: Request) -> int | None:
    """The Expires header; None without a usable one (RFC 3261 §10.2.1.1: malformed means the default)."""
    try:
        return request.expires
    except MalformedMessageError:
        return None


def _check_order(binding: Binding, call_id: str, cseq: int) -> None:
    """RFC 3261 §10.3, steps 6 and 7: of one Call-ID only a higher CSeq changes a binding."""
    if binding.call_id == call_id and cseq <= binding.cseq:
        raise Refusal(500, "CSeq Out Of Order")


def _is_same(binding: Binding, contact: _Contact) -> bool:
    """Whether a contact is the one that is bound: the same flow of the same phone, else an equal URI."""
    if contact.reg_id is not None and binding.reg_id is not None:  # RFC 5626 §6
        return (binding.instance, binding.reg_id) == (contact.instance, contact.reg_id)
    return binding.contact == contact.text or parse_uri(binding.contact) == contact.uri


def _is_before_reboot(binding: Binding, contact: _Contact, call_id: str) -> bool:
    """Whether the same phone made the binding under another Call-ID: what reached it then leads nowhere now.

    With reg-ids the phone says itself what replaces what.
    """
    both_have_reg_id = contact.reg_id is not None and binding.reg_id is not None
    return binding.instance == contact.instance and binding.call_id != call_id and not both_have_reg_id


def _read_contact(value: NameAddr, common: int, default: int) -> _Contact:
    uri = value.uri
    if not isinstance(uri, SipUri):
        raise Refusal(400, "Contact Is No SIP URI")
    return _Contact(
        text=uri.render(),
        uri=uri,
        seconds=_seconds(value, common, default),
        q=_q(value),
        instance=value.param("+sip.instance") or "",
        reg_id=_reg_id(value),
        params=echoed_params(value),
    )


def _seconds(contact: NameAddr, common: int, default: int) -> int:
    if (text := contact.param("expires")) is None:
        return common
    try:
        return parse_seconds(text, "Contact")
    except MalformedMessageError:  # RFC 3261 §10.2.1.1
        return default


def _q(contact: NameAddr) -> float:
    try:
        return parse_q(contact.param("q") or "1")
    except MalformedMessageError:
        return 1.0


def _reg_id(contact: NameAddr) -> int | None:
    """The reg-id of a contact with an instance; without one it means nothing (RFC 5626 §6)."""
    text = contact.params.get("reg-id")
    if not text or not contact.param("+sip.instance"):
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= 10
    return int(text) if is_number and 0 < int(text) <= MAX_REG_ID else None


def _path(request: Request) -> tuple[str, ...]:
    """The values of Path, each of which can be a Route."""
    path = tuple(request.headers.values("Path"))
    for value in path:
        if not isinstance(parse_name_addr(value, "Path").uri, SipUri):
            raise MalformedMessageError("Path", value)
    return path


def _uri_params(value: str) -> Container[str]:
    uri = parse_name_addr(value, "Path").uri
    return uri.params if isinstance(uri, SipUri) else {}
