"""Requests that are answered before a transaction is made for them, and without keeping anything of them.

Under overload they are refused at the least cost; and every call and registration begins with a challenge.
A flood finds no memory to fill here (RFC 3261 §8.2.7, §26.3.2.4).
"""

from hashlib import blake2s
from typing import Final, NamedTuple, Protocol

from pbx.sip.flow import Flow
from pbx.sip.glance import Glance
from pbx.sip.message import Request, is_answerable
from pbx.sip.parser import MalformedMessageError
from pbx.sip.refusal import Refusal, render_refusal
from pbx.sip.transaction.key import server_key
from pbx.sip.transaction.layer import TransactionLayer
from pbx.sip.transaction.reply_path import trace_reply_path
from pbx.sip.transaction.types import Send
from pbx.sip.uri import user_of

CHALLENGED: Final = frozenset({"INVITE", "REGISTER", "MESSAGE", "SUBSCRIBE"})  # outside of dialogs
# Headers whose requests are looked at more closely before anybody asks for a password (§8.2.2.3, §8.2.3).
UNCHALLENGED: Final = frozenset({"Authorization", "Proxy-Authorization", "Require", "Content-Encoding"})

Answers = tuple[Send, ...]


class Beginning(NamedTuple):
    """A request outside of dialogs, as far as it is known before it is looked at in earnest."""

    method: str
    user: str  # of the Request-URI
    has_credentials: bool
    call_id: str


class StatelessUser(Protocol):
    """Who knows what is to be refused."""

    def screen(self, beginning: Beginning, flow: Flow) -> Refusal | None:
        """What to answer to a request outside of dialogs before anything is spent on it; None to go on."""
        ...

    def challenge(self, request: Request, flow: Flow) -> Refusal | None:
        """What to answer to a request of CHALLENGED without credentials; None to look at it further."""
        ...


class Stateless:
    """What is done with a request at the door: None to go on, else the answers that are all it gets.

    Args:
        tag_key: of the hash that To tags are made by.
    """

    def __init__(self, user: StatelessUser, layer: TransactionLayer, tag_key: bytes) -> None:
        self._user, self._layer, self._tag_key = user, layer, tag_key
        # What all tags made here begin with; no other tag has it, for those have hexadecimal digits only.
        self._mark = "s" + self._hash("mark")[:8]
        self._marked = f";tag={self._mark}".encode()

    def screen(self, request: Request, flow: Flow) -> Answers | None:
        """Let the user refuse a request at the least cost: neither validated nor with a transaction (§8.2.7).

        Copies of a request that is being served are no new request.
        """
        headers = request.headers
        if request.method == "ACK" or not is_answerable(headers):
            return None
        to = headers.get("To") or ""
        try:
            if (";" in to and request.to.tag is not None) or self._layer.is_serving(server_key(request)):
                return None
            user = user_of(request.parsed_uri)
            has_credentials = "Authorization" in headers or "Proxy-Authorization" in headers
            beginning = Beginning(request.method, user, has_credentials, request.call_id)
            refusal = self._user.screen(beginning, flow)
            return None if refusal is None else self._refuse(request, refusal, flow)
        except MalformedMessageError:
            return None  # `validate` will say what is wrong with it

    def is_ack(self, data: bytes) -> bool:
        """Whether a datagram, which nobody has read yet, is the ACK to an answer made here: it ends here too.

        Who has the tag elsewhere in an ACK has made that up, and no call of his hears it.
        """
        return data.startswith(b"ACK ") and self._marked in data

    def screen_glance(self, seen: Glance, flow: Flow) -> Send | None:
        """As `screen`, for a datagram that nobody has read yet."""
        if self._layer.is_serving(seen.key):
            return None
        beginning = Beginning(seen.method, seen.user, seen.has_credentials, seen.call_id)
        refusal = self._user.screen(beginning, flow)
        if refusal is None:
            return None
        tag = self._tag_of(seen.branch, seen.call_id, seen.cseq)
        via = seen.reply_via(*flow.peer)
        values = (seen.from_, seen.to, seen.call_id, seen.cseq, tag)
        return Send(render_refusal(refusal, [via], *values), flow)

    def challenge(self, request: Request, flow: Flow) -> Answers | None:
        """Answer a valid request without credentials by a challenge (§8.2.7, §26.3.2.4).

        The ACK to an answer made here ends here too.
        """
        first = request.headers.first
        if request.method == "ACK":
            return () if f";tag={self._mark}" in first["To"] else None
        if (
            request.method not in CHALLENGED
            or not first.keys().isdisjoint(UNCHALLENGED)
            or request.to.tag is not None
        ):
            return None
        refusal = self._user.challenge(request, flow)
        return None if refusal is None else self._refuse(request, refusal, flow)

    def tag(self, request: Request) -> str:
        """A To tag that is the same for every copy of a request, with nothing kept of it (§8.2.7)."""
        first = request.headers.first
        return self._tag_of(request.via.branch or "", first["Call-ID"], first["CSeq"])

    def _refuse(self, request: Request, refusal: Refusal, flow: Flow) -> Answers:
        reply_path = trace_reply_path(request, flow)  # written into the Via as well
        first, vias = request.headers.first, request.headers.get_all("Via")
        from_, to, call_id, cseq = first["From"], first["To"], first["Call-ID"], first["CSeq"]
        tag = self._tag_of(request.via.branch or "", call_id, cseq)
        return (Send(render_refusal(refusal, vias, from_, to, call_id, cseq, tag), reply_path),)

    def _tag_of(self, branch: str, call_id: str, cseq: str) -> str:
        return self._mark + self._hash(f"{branch} {call_id} {cseq}")

    def _hash(self, text: str) -> str:
        data = text.encode("utf-8", "surrogateescape")
        return blake2s(data, key=self._tag_key, digest_size=8).hexdigest()
