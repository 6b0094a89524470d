"""A request of ours on its way, until its final response."""

from collections.abc import Callable, Sequence
from math import inf

from pbx.sip.credentials import Answered, Credentials
from pbx.sip.dialog import Dialog
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.stack_user import StepOwner
from pbx.sip.transaction.key import TransactionKey


class ClientRequest:
    """A request on its way: its transaction changes when it is tried at the next address (RFC 3263 §4.3),
    and when it is sent again with credentials (RFC 3261 §22): then it is another `request` too."""

    __slots__ = (
        *("alternatives", "answered", "credentials", "dialog", "flow", "give_up_s", "handler"),
        *("has_provisional", "key", "owner", "request"),
    )

    def __init__(
        self,
        request: Request,
        flow: Flow,
        handler: Callable[[Response], None],
        alternatives: Sequence[Flow] = (),
        owner: StepOwner | None = None,
        credentials: Credentials | None = None,
        dialog: Dialog | None = None,
        give_up_s: float = inf,
    ) -> None:
        self.request = request
        self.owner = owner
        self.credentials = credentials
        self.answered: Answered = set()
        self.dialog = dialog
        self.give_up_s = give_up_s
        self.flow = flow
        self.handler = handler
        self.alternatives = list(alternatives)
        self.key: TransactionKey | None = None
        self.has_provisional = False  # of the transaction in progress

    def stop_trying(self) -> None:
        """Nobody wants it any more: it is tried nowhere else and answers no challenge."""
        self.alternatives.clear()
        self.credentials = None

    def release(self) -> None:
        """Nothing comes any more. Who sent it may still hold it: it holds its sender no longer."""
        self.handler, self.owner = ignore, None


def ignore(_response: Response) -> None:
    """Nobody wants to know."""
