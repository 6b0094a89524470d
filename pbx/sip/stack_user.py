"""Who uses the stack: whoever is told of requests, responses, timers, and of a step that failed."""

from typing import Protocol

from pbx.errors import PbxError
from pbx.sip.flow import Flow
from pbx.sip.message import Request
from pbx.sip.stateless import StatelessUser
from pbx.sip.transaction.key import TransactionKey


class StepOwner(Protocol):
    """Whoever is hurt when a step fails on its behalf."""

    def broke(self, error: PbxError) -> None:
        """A step failed half way: what hangs on it has to be ended and freed."""
        ...


class TimerOwner(StepOwner, Protocol):
    """Whoever set a timer of the stack."""

    def expire(self, timer: str) -> None: ...


class DialogUser(StepOwner, Protocol):
    """Whoever owns a dialog: gets every request inside it."""

    def receive_request(self, request: Request, key: TransactionKey, flow: Flow) -> None: ...
    def receive_ack(self, request: Request) -> object: ...


class StackUser(StatelessUser, StepOwner, Protocol):
    """Whoever owns what is outside of dialogs."""

    def receive_request(self, request: Request, key: TransactionKey, flow: Flow) -> None: ...


class InviteOwner(StepOwner, Protocol):
    """Whoever answers an INVITE and may be told to stop."""

    def receive_cancel(self, request: Request) -> None: ...
