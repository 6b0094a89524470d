"""The location service (RFC 3261 §10.1): the contacts of each device, and by which flow each is reached."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from operator import attrgetter
from typing import Any, Final, NamedTuple

from pbx.deadlines import Deadlines
from pbx.sip.attempts import network_of
from pbx.sip.fields import NameAddr, parse_name_addr
from pbx.sip.flow import Flow
from pbx.sip.grammar import MalformedMessageError, render_params
from pbx.sip.uri import SipUri, parse_uri

# Parameters of a Contact that are not given back: rewritten from the binding, or a GRUU (RFC 5627), of which
# none is handed out because none could be routed.
NOT_ECHOED: Final = frozenset({"expires", "q", "pub-gruu", "temp-gruu", "temp-gruu-cookie"})


class Binding(NamedTuple):
    """One contact of a device, as registered last.

    Attributes:
        contact: the Contact URI as the phone wrote it: the Request-URI of what is sent to it.
        flow: how the REGISTER came, and so how requests reach the phone (RFC 5626 §2), NAT or not.
        expires_at: monotonic seconds.
        call_id, cseq: of that REGISTER.
        path: values of Path, the Route of requests to it (RFC 3327).
        q: preference among a device's contacts, 0 to 1.
        instance: "+sip.instance" without quotes, "" without one.
        reg_id: which of the phone's flows this is (RFC 5626 §4.2), None without.
        user_agent: what the phone calls itself.
        received: "host:port" it was seen at when its Via says otherwise (RFC 3581), else "".
        params: the other Contact parameters, as text, given back in responses (RFC 3840 §9).
    """

    contact: str
    flow: Flow
    expires_at: float
    call_id: str
    cseq: int
    path: tuple[str, ...] = ()
    q: float = 1.0
    instance: str = ""
    reg_id: int | None = None
    user_agent: str = ""
    received: str = ""
    params: str = ""

    @property
    def behind_nat(self) -> bool:
        """Whether only the flow leads to the phone, whatever its Contact says."""
        return self.received != ""

    def render(self, now: float) -> str:
        """The Contact value of a REGISTER's response (RFC 3261 §10.3, step 8)."""
        q = "" if self.q == 1.0 else f";q={self.q:.3g}"
        return f"<{self.contact}>{self.params}{q};expires={max(1, round(self.expires_at - now))}"


class LocationService:
    """All bindings, by device username; finding a device's costs the same however many there are."""

    def __init__(self) -> None:
        self._bindings: dict[str, tuple[Binding, ...]] = {}  # of each, refreshed longest ago first
        self._by_flow: dict[Flow, set[str]] = {}
        self._networks: dict[str, int] = {}  # how many devices are bound from there
        self.deadlines: Deadlines[str] = Deadlines()

    def __len__(self) -> int:
        """How many devices are registered."""
        return len(self._bindings)

    @property
    def deadline(self) -> float | None:
        """When the next binding expires."""
        return self.deadlines.next

    # --- questions -----------------------------------------------------------------------------------------

    def bindings(self, username: str, now: float) -> Sequence[Binding]:
        """The live bindings of a device, the most preferred first: by q, then the newest."""
        found = self._bindings.get(username, ())
        if len(found) <= 1:
            return found if not found or found[0].expires_at > now else ()
        live = [binding for binding in reversed(found) if binding.expires_at > now]
        live.sort(key=_preference)
        return live

    def is_registered(self, username: str, now: float) -> bool:
        return any(binding.expires_at > now for binding in self._bindings.get(username, ()))

    def is_registered_from(self, address: str) -> bool:
        """Whether any device is registered from this address (as attempts.network_of counts addresses)."""
        return network_of(address) in self._networks

    def has_flow(self, flow: Flow) -> bool:
        """Whether any device is bound by this flow."""
        return flow in self._by_flow

    def by_flow(self, flow: Flow) -> frozenset[str]:
        """The devices that are bound by this flow."""
        return frozenset(self._by_flow.get(flow, ()))

    def usernames(self) -> Sequence[str]:
        """Every device with bindings, live or about to be forgotten."""
        return list(self._bindings)

    def all(self, now: float) -> Iterator[tuple[str, Binding]]:
        """Every live binding with its device."""
        for username, bindings in self._bindings.items():
            for binding in bindings:
                if binding.expires_at > now:
                    yield username, binding

    # --- changes -------------------------------------------------------------------------------------------

    def stored(self, username: str) -> tuple[Binding, ...]:
        """What `replace` was given last, less what is gone: refreshed longest ago first."""
        return self._bindings.get(username, ())

    def replace(self, username: str, bindings: tuple[Binding, ...]) -> None:
        """Make these, refreshed longest ago first, the bindings of a device."""
        before = self._bindings.get(username, ())
        if bindings:
            self._bindings[username] = bindings
            self.deadlines.set(username, min(map(_expiry, bindings)))
        elif before:
            del self._bindings[username]
            self.deadlines.set(username, None)
        if len(before) == 1 == len(bindings) and before[0].flow == bindings[0].flow:
            return  # a refresh: by far the most frequent
        self._index(username, before, bindings)

    def clear(self, username: str) -> None:
        """Forget a device: it was removed, or its password changed."""
        self.replace(username, ())

    def flow_lost(self, flow: Flow) -> list[str]:
        """Forget what was bound by a connection that closed and that we cannot open again (RFC 5626 §7).

        Returns:
            The devices that lost a binding.
        """
        if not flow.accepted or flow not in self._by_flow:
            return []
        return self._keep(sorted(self._by_flow[flow]), lambda binding: binding.flow != flow)

    def expire(self, now: float) -> list[str]:
        """Forget the bindings whose time is over.

        Returns:
            The devices that lost a binding.
        """
        return self._keep(self.deadlines.pop_due(now), lambda binding: binding.expires_at > now)

    # --- over a restart ------------------------------------------------------------------------------------

    def save(self, now: float, wall: float) -> list[dict[str, Any]]:
        """Every live binding in plain values (`save_binding`)."""
        return [save_binding(username, binding, now, wall) for username, binding in self.all(now)]

    def restore(self, rows: Iterable[Mapping[str, Any]], now: float, wall: float) -> list[str]:
        """Take in what was saved, maybe in another run, but for what has expired since.

        A device that has registered in the meantime keeps what it has.

        Args:
            rows: from `save`, in its order.
            now: monotonic seconds.
            wall: the same moment, seconds since 1970.

        Returns:
            Why rows could not be used, a line each.
        """
        restored: dict[str, list[Binding]] = {}
        complaints = []
        for row in rows:
            try:
                username, binding = str(row["username"]), restore_binding(row, now, wall)
            except (KeyError, TypeError, ValueError, MalformedMessageError) as error:
                complaints.append(f"unusable binding {dict(row)!r}: {error!r}")
                continue
            if binding is None:
                complaints.append(f"{username}: {row['contact']} was reached by a connection that is gone")
            elif binding.expires_at > now and username not in self._bindings:
                restored.setdefault(username, []).append(binding)
        for username, bindings in restored.items():
            self.replace(username, tuple(bindings))
        return complaints

    # --- inside --------------------------------------------------------------------------------------------

    def _keep(self, usernames: Iterable[str], is_kept: Callable[[Binding], bool]) -> list[str]:
        changed = []
        for username in usernames:
            before = self._bindings.get(username, ())
            self.replace(username, kept := tuple(filter(is_kept, before)))
            if len(kept) < len(before):
                changed.append(username)
        return changed

    def _index(self, username: str, before: tuple[Binding, ...], after: tuple[Binding, ...]) -> None:
        was, is_ = {binding.flow for binding in before}, {binding.flow for binding in after}
        for flow in was - is_:
            users = self._by_flow[flow]
            users.discard(username)
            if not users:
                del self._by_flow[flow]
        for flow in is_ - was:
            self._by_flow.setdefault(flow, set()).add(username)
        for flow in was - is_:
            self._count(flow, -1)
        for flow in is_ - was:
            self._count(flow, 1)

    def _count(self, flow: Flow, step: int) -> None:
        network = network_of(flow.peer[0])
        count = self._networks.get(network, 0) + step
        if count:
            self._networks[network] = count
        else:
            del self._networks[network]


_expiry: Final = attrgetter("expires_at")


def _preference(binding: Binding) -> float:
    return -binding.q


def echoed_params(contact: NameAddr) -> str:
    """The parameters of a Contact that `Binding.params` keeps."""
    return render_params({name: value for name, value in contact.params.items() if name not in NOT_ECHOED})


def save_device(username: str, bindings: Iterable[Binding], now: float, wall: float) -> list[dict[str, Any]]:
    """Those of one device that are live, for a store that keeps up with each change."""
    return [save_binding(username, each, now, wall) for each in bindings if each.expires_at > now]


def save_binding(username: str, binding: Binding, now: float, wall: float) -> dict[str, Any]:
    """A binding in plain values, its expiry in seconds since 1970. `wall` is the same moment as `now`."""
    flow = binding.flow
    return {
        "username": username,
        "contact": binding.contact,
        "transport": flow.transport,
        "peer": flow.peer[0],
        "peer_port": flow.peer[1],
        "local": flow.local[0],
        "local_port": flow.local[1],
        "expires": wall + (binding.expires_at - now),
        "call_id": binding.call_id,
        "cseq": binding.cseq,
        "path": list(binding.path),
        "q": binding.q,
        "instance": binding.instance,
        "reg_id": binding.reg_id,
        "user_agent": binding.user_agent,
        "received": binding.received,
        "params": binding.params,
    }


def restore_binding(row: Mapping[str, Any], now: float, wall: float) -> Binding | None:
    """What `save_binding` made plain.

    A connection does not outlive the server, so a phone that came by one is from now on reached by a new one
    to the address in its Contact (or Path); None when there is no IP address in that.

    Raises:
        KeyError, TypeError, ValueError, MalformedMessageError: it is no such row.
    """
    contact, path = str(row["contact"]), tuple(str(value) for value in row["path"])
    uri = parse_uri(contact, "Contact")
    flow = Flow(
        str(row["transport"]),
        (str(row["peer"]), int(row["peer_port"])),
        (str(row["local"]), int(row["local_port"])),
    )
    if flow.is_reliable:
        hop = parse_name_addr(path[0], "Path").uri if path else uri
        if not isinstance(hop, SipUri) or not _is_ip_address(hop.host):
            return None
        port = hop.port or (5061 if flow.is_secure else 5060)
        flow = Flow(flow.transport, (hop.host, port), (flow.local[0], 0))
    return Binding(
        contact=contact,
        flow=flow,
        expires_at=now + (float(row["expires"]) - wall),
        call_id=str(row["call_id"]),
        cseq=int(row["cseq"]),
        path=path,
        q=float(row["q"]),
        instance=str(row["instance"]),
        reg_id=None if row["reg_id"] is None else int(row["reg_id"]),
        user_agent=str(row["user_agent"]),
        received=str(row["received"]),
        params=str(row["params"]),
    )


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
