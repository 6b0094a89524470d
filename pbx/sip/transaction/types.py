"""What transactions tell: plain values, carried out or acted upon by whoever steps the layer.

`Send` carries octets, not a message: a message is rendered once, when it is handed to the layer, and each
repetition sends the same octets again (RFC 3261 §17.1.1.2). Whoever sends outside of any transaction (the
ACK of a 2xx, a stateless response) renders by itself: `Send(ack.render(), flow)`.

They are values, and nobody changes them; but not frozen, which makes each three times as dear to make, and a
call makes fifty.

`Ended` is the last that is heard of a transaction, whatever went before it.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.transaction.key import TransactionKey


class State(IntEnum):
    """The states of figures 5 to 8, and RFC 6026's ACCEPTED. Integers, for each message hashes them."""

    CALLING = 1
    TRYING = 2
    PROCEEDING = 3
    ACCEPTED = 4
    COMPLETED = 5
    CONFIRMED = 6
    TERMINATED = 7


@dataclass(slots=True)
class Send:
    """Put `data` on the wire."""

    data: bytes
    flow: Flow


@dataclass(slots=True)
class RequestIn:
    """To the transaction user: a new request; answer it with `respond(key, ...)`.

    `key` is None for an ACK, which has no answer: that of a 2xx, or a stray one.
    `cancels` is the INVITE transaction that a CANCEL means, None when there is none (answer 481, §9.2).
    `merged`: the same request has come by another path already (answer 482, §8.2.2.2).
    `flow` is how it came; where its responses go (§18.2.2) is the layer's affair.
    """

    request: Request
    key: TransactionKey | None
    flow: Flow
    cancels: TransactionKey | None = None
    merged: bool = False


@dataclass(slots=True)
class ResponseIn:
    """To the transaction user: a provisional or final response; of an INVITE each 2xx, repeated ones too."""

    response: Response
    key: TransactionKey


@dataclass(slots=True)
class TimedOut:
    """No (final) response came, or no ACK for a non-2xx response (timers B, F, H)."""

    key: TransactionKey


@dataclass(slots=True)
class TransportFailed:
    """The transport could not deliver. A client transaction is over, a server transaction goes on."""

    key: TransactionKey
    why: str


@dataclass(slots=True)
class Ended:
    """The transaction is gone and forgotten."""

    key: TransactionKey


@dataclass(slots=True)
class Ignored:
    """Something came that the transaction has no use for, or that belongs to none."""

    key: TransactionKey | None
    why: str


Effect: TypeAlias = Send | RequestIn | ResponseIn | TimedOut | TransportFailed | Ended | Ignored
