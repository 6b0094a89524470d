"""All subscriptions (RFC 6665): which are taken, how many, and how fast they are told."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from typing import Final, TypeVar

from pbx.call.authentication import Gatekeeper, Sender
from pbx.call.identity import called_user
from pbx.call.subscription import Package, Subscription, granted
from pbx.errors import PbxError, PeerError
from pbx.office.device import Device
from pbx.office.snapshot import Office
from pbx.sip.fields import parse_event
from pbx.sip.flow import Flow
from pbx.sip.message import Request
from pbx.sip.refusal import Refusal
from pbx.sip.stack import SipStack
from pbx.sip.transaction.key import TransactionKey

K = TypeVar("K")

MOST: Final = 20  # subscriptions of one device
GAP_S: Final = 0.1  # between two NOTIFYs to one device that changes cause


class Subscriptions:
    """Everybody who wants to be told of something."""

    def __init__(
        self,
        stack: SipStack,
        gate: Gatekeeper,
        office: Callable[[], Office],
        packages: Iterable[Package],
        hurt: Callable[[str, PbxError], None],
    ) -> None:
        self.stack, self.hurt = stack, hurt
        self._gate, self._office = gate, office
        self._packages = {package.name: package for package in packages}
        for package in self._packages.values():
            package.subscribers = self
        self._allowed = (("Allow-Events", ", ".join(self._packages)),)
        self._by_device: dict[str, list[Subscription]] = {}
        self._by_resource: dict[tuple[str, str], list[Subscription]] = {}
        self._watchers: Counter[str] = Counter()  # how many subscriptions to each package there are
        self._is_stopping = False
        self._slots: dict[str, float] = {}  # when each device may be told the next thing

    def __len__(self) -> int:
        return sum(map(len, self._by_device.values()))

    def subscribe(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        """A SUBSCRIBE outside of dialogs.

        Raises:
            PeerError: it is refused.
        """
        sender = self.admit(request, flow)
        if self._is_stopping:
            raise Refusal(503, "Service Unavailable", (("Retry-After", "10"),))
        value = request.headers.get("Event")
        package = self._packages.get(parse_event(value).package) if value is not None else None
        if package is None:
            raise Refusal(489, "Bad Event", self._allowed)
        resource = package.resource_for(sender, called_user(request))
        if not _accepts(request, package.content_type):
            raise PeerError(406, "Not Acceptable")
        seconds = granted(request)
        if not request.contacts:
            raise PeerError(400, "Missing Contact")
        self._make_room(sender, package, resource, request, flow)
        tag = self.stack.entropy.token()
        made = Subscription(self, package, resource, sender, request, flow, tag)
        self._count(package, 1)
        self._by_device.setdefault(sender.device.username, []).append(made)
        self._by_resource.setdefault((package.name, resource), []).append(made)
        extra = (*made.answer(seconds), *self._allowed)
        self.stack.respond(request, key, 200, to_tag=tag, extra=extra)
        made.begin(seconds)

    def changed(self, package: str, resource: str) -> None:
        """Tell everybody who wants to know."""
        for each in tuple(self._by_resource.get((package, resource), ())):
            each.changed()

    def has(self, package: str, username: str, peer: tuple[str, int]) -> bool:
        """Whether the phone of this device at this address is told by a subscription."""
        return any(
            each.package.name == package and each.is_open and each.dialog.flow.peer == peer
            for each in self._by_device.get(username, ())
        )

    def uses(self, flow: Flow) -> bool:
        """Whether a subscription came by this connection."""
        return any(each.dialog.flow == flow for each in self._all())

    def cut(self, flow: Flow) -> None:
        """A connection is gone."""
        for each in self._all():
            each.dialog.is_cut = each.dialog.is_cut or each.dialog.flow == flow

    def follow(self, username: str, gone: Set[Flow], flow: Flow, behind_nat: bool) -> None:
        """A phone has come by another way, and those in `gone` lead to it no more."""
        for each in self._by_device.get(username, ()):
            dialog = each.dialog
            if (dialog.is_cut or dialog.flow in gone) and dialog.flow.peer[0] == flow.peer[0]:
                dialog.move(flow, behind_nat)

    def swap_office(self) -> None:
        """The office has changed: end what is not for the subscriber any more."""
        office = self._office()
        for username, made in tuple(self._by_device.items()):
            found = office.device(username)
            for each in tuple(made):
                if found is None or _login(found[1]) != _login(each.sender.device):
                    each.end("rejected")
                    continue
                each.sender = Sender(*found)
                try:
                    is_there = each.package.resource_for(each.sender, each.resource) == each.resource
                except PeerError:
                    is_there = False
                if not is_there:
                    each.end("noresource")

    def stop(self) -> None:
        """Forget all: the phones subscribe anew when the server is back."""
        self._is_stopping = True
        for made in tuple(self._by_device.values()):
            for each in tuple(made):
                each.drop()

    # --- what a subscription asks for ----------------------------------------------------------------------

    def admit(self, request: Request, flow: Flow) -> Sender:
        """Who sends it.

        Raises:
            Refusal: nobody whom we know.
        """
        return self._gate.admit(request, flow, self.stack.now)

    def next_slot(self, subscription: Subscription) -> float:
        """When it may tell of a change."""
        username, now = subscription.sender.device.username, self.stack.now
        slot = max(now, self._slots.get(username, now))
        self._slots[username] = slot + GAP_S
        return max(slot, subscription.sent_at + subscription.package.gap_s)

    def ended(self, subscription: Subscription) -> None:
        """It is over."""
        username = subscription.sender.device.username
        self._count(subscription.package, -1)
        _remove(self._by_device, username, subscription)
        _remove(self._by_resource, (subscription.package.name, subscription.resource), subscription)
        if username not in self._by_device:
            self._slots.pop(username, None)

    # --- inside --------------------------------------------------------------------------------------------

    def _count(self, package: Package, more: int) -> None:
        self._watchers[package.name] += more
        package.watch(self._watchers[package.name] > 0)

    def _all(self) -> Iterator[Subscription]:
        return (each for made in self._by_device.values() for each in made)

    def _make_room(
        self, sender: Sender, package: Package, resource: str, request: Request, flow: Flow
    ) -> None:
        """A phone that starts anew has forgotten its subscription: the new one takes its place.

        Over another connection its Contact may have another port.
        """
        made = self._by_device.get(sender.device.username, [])
        contact = request.contacts[0].uri.render()
        for each in tuple(made):
            dialog = each.dialog
            is_again = dialog.is_cut and dialog.flow.peer[0] == flow.peer[0]
            if (each.package, each.resource) == (package, resource) and (
                is_again or dialog.target == contact
            ):
                each.drop()
        if len(self._by_device.get(sender.device.username, ())) >= MOST:
            raise PeerError(403, f"More Than {MOST} Subscriptions")


def _remove(table: dict[K, list[Subscription]], key: K, subscription: Subscription) -> None:
    made = table.get(key, [])
    if subscription in made:
        made.remove(subscription)
    if not made:
        table.pop(key, None)


def _accepts(request: Request, content_type: str) -> bool:
    """Whether the body is one that the phone takes; without Accept it takes the package's own (§4.1.3)."""
    if "Accept" not in request.headers:
        return True
    ranges = {value.partition(";")[0].strip().lower() for value in request.headers.values("Accept")}
    return not ranges.isdisjoint({content_type, content_type.partition("/")[0] + "/*", "*/*"})


def _login(device: Device) -> tuple[str, bool]:
    return device.ha1_sha256, device.tls
