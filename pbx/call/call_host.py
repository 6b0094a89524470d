"""The exchange, as a call and those who work for it see it."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pbx.call.adrift import Adrift
from pbx.call.hunt import Hunt
from pbx.call.leg import Leg
from pbx.call.metering import Metering
from pbx.call.occupancy import Occupancy
from pbx.call.party import Party
from pbx.call.passing import Passing
from pbx.call.phrases import Phrases
from pbx.call.ringing import Ringing
from pbx.call.routing import Router
from pbx.call.sound import Sound
from pbx.call.world import CurrentWorld
from pbx.errors import PbxError
from pbx.rules.decision import Reject, Ring, Serve, TakeMessage
from pbx.sip.fields import Replaces
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.stack import SipStack
from pbx.sip.transaction.key import TransactionKey
from pbx.sip.uri import OpaqueUri, SipUri


class CallHost(Protocol):
    """What a call asks of the exchange."""

    adrift: Adrift
    sound: Sound
    ringing: Ringing
    metering: Metering
    occupancy: Occupancy
    world: CurrentWorld
    passing: Passing

    @property
    def stack(self) -> SipStack: ...
    @property
    def domain(self) -> str: ...
    @property
    def services(self) -> "CallServices": ...
    @property
    def router(self) -> Router: ...
    def order(self, order: Any) -> None: ...
    def is_here(self, uri: SipUri | OpaqueUri) -> bool: ...
    def leg_with(self, replaces: Replaces, party: Party | None) -> Leg | None: ...
    def redirect(self, router: Router, hunt: Hunt, leg: Leg, response: Response) -> Ring | Reject | None: ...
    def may_move(self, leg: Leg, request: Request, key: TransactionKey, flow: Flow) -> bool: ...
    def call_ended(self, call: Any) -> None: ...
    def note(self, text: str, **fields: object) -> None: ...
    def hurt(self, what: str, error: PbxError) -> None: ...


class CallServices(Protocol):
    """What the PBX does itself for a call, which is the first argument of each."""

    @property
    def phrases(self) -> Phrases: ...
    @property
    def codes(self) -> Mapping[str, str]: ...
    def begin(
        self,
        call: Any,
        leg: Leg,
        decision: Serve | TakeMessage,
        by: Leg | None = None,
        done: Callable[[], None] | None = None,
    ) -> None: ...
    def announce(self, call: Any, leg: Leg, status: int, prompt: str, then: Callable[[], None]) -> None: ...
    def fail(self, call: Any, leg: Leg, status: int, prompt: str, then: Callable[[], None]) -> None: ...
    def ring_back(self, call: Any, leg: Leg) -> None: ...
    def take_place(self, call: Any, leg: Leg, other: Any, done: Callable[[], None]) -> bool:
        """Let a leg have the place of the caller of `other` with the PBX; False: there is none to give."""
        ...

    def ask_passcode(
        self, call: Any, leg: Leg, key: str, stored: str, done: Callable[[bool], None]
    ) -> None: ...
    def ask_pin(self, call: Any, leg: Leg, done: Callable[[str], None]) -> None: ...
