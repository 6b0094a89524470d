"""All transactions of one stack as one machine: matching, opening, ending (RFC 3261 §17, RFC 6026)."""

from collections import Counter
from math import inf
from typing import Final

from pbx.deadlines import Deadlines
from pbx.errors import UsageError
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.transaction.invite_client import InviteClientTransaction
from pbx.sip.transaction.invite_server import InviteServerTransaction
from pbx.sip.transaction.key import TransactionKey, client_key, invite_key_of, server_key
from pbx.sip.transaction.noninvite_client import NonInviteClientTransaction
from pbx.sip.transaction.noninvite_server import NonInviteServerTransaction
from pbx.sip.transaction.reply_path import second_path, trace_reply_path
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Effect, Ended, Ignored, RequestIn, Send, State

Client = InviteClientTransaction | NonInviteClientTransaction
Server = InviteServerTransaction | NonInviteServerTransaction
MergeId = tuple[str, str, int, str]  # Call-ID, From tag, CSeq
_TERMINATED: Final = State.TERMINATED


class TransactionLayer:
    """Gives each message to its transaction, and new requests and responses to the transaction user.

    Every method takes the time and returns what is to be done, in order.
    """

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._clients: dict[TransactionKey, Client] = {}
        self._servers: dict[TransactionKey, Server] = {}
        self._merge_ids: dict[MergeId, TransactionKey] = {}
        self.deadlines: Deadlines[Client | Server] = Deadlines()

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    def states(self) -> Counter[str]:
        """How many transactions are in each state, as "INVITE server COMPLETED": 3."""
        alive = (*self._clients.values(), *self._servers.values())
        return Counter(f"{transaction.name} {transaction.state.name}" for transaction in alive)

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called, None for never."""
        return self.deadlines.next

    def expire(self, now: float) -> list[Effect]:
        """Fire every timer that is due."""
        effects: list[Effect] = []
        for transaction in self.deadlines.pop_due(now):
            effects += self._settle(transaction, transaction.expire(now))
        return effects

    def is_serving(self, key: TransactionKey) -> bool:
        """Whether there is a server transaction of that key: what has it is a copy of what was let in."""
        return key in self._servers

    def receive(self, message: Request | Response, flow: Flow, now: float) -> list[Effect]:
        """Take a whole, valid message; a new request's source is written into its top Via (§18.2.1)."""
        if isinstance(message, Response):
            return self._receive_response(message, now)
        key = server_key(message)
        server = self._servers.get(key)
        if message.method == "ACK":
            return self._receive_ack(message, server, flow, now)
        if server is not None:
            return self._settle(server, server.receive_request(now))
        return self._open(message, key, flow, now)

    def send_request(
        self,
        request: Request,
        flow: Flow,
        now: float,
        branch: str | None = None,
        *,
        give_up_s: float = inf,
    ) -> tuple[TransactionKey, list[Effect]]:
        """Open a client transaction; the branch of the request's top Via must be a new one.

        Whoever has just made the Via hands in its `branch`: it need not be read again. `give_up_s` shortens
        timers B and F.

        A CANCEL has the branch of its INVITE, which must have had a provisional response (§9.1). From then
        on the INVITE waits 64*T1 for its final response and then times out.

        Raises:
            UsageError: an ACK (that of a 2xx is sent by the user, any other by the layer), no new branch,
                or a CANCEL before any provisional response.
        """
        if branch is not None:
            key = TransactionKey(False, request.method, branch.lower())
        else:
            key = client_key(request)
        if not key.branch or key in self._clients:
            raise UsageError(f"branch of {request.method} missing or in use: {key.branch!r}")
        effects: list[Effect] = []
        client: Client
        if request.method == "INVITE":
            client = InviteClientTransaction(key, request, flow, self._timers)
        elif request.method == "ACK":
            raise UsageError("an ACK opens no transaction")
        else:
            if request.method == "CANCEL":
                self._limit_invite(invite_key_of(key), now)
            client = NonInviteClientTransaction(key, request, flow, self._timers)
        self._clients[key] = client
        effects += self._settle(client, client.start(now, give_up_s))
        return key, effects

    def respond(self, key: TransactionKey, response: Response, now: float) -> list[Effect]:
        """Send a response in the server transaction of `key`.

        A 2xx to an INVITE is sent each time it is handed in: its repetition is the user's work (§13.3.1.4).
        Anything else after a final response is ignored, and so is what comes when the transaction has ended.
        """
        server = self._servers.get(key)
        if server is None:
            return [Ignored(key, f"{response.status} for no transaction")]
        return self._settle(server, server.respond(response, now))

    def answer(self, key: TransactionKey, data: bytes, now: float) -> list[Effect]:
        """Send the final response to another request than INVITE, rendered: all that is kept of it."""
        server = self._servers.get(key)
        if not isinstance(server, NonInviteServerTransaction):
            return [Ignored(key, "an answer for no transaction")]
        effects = server.answer(data, now)
        self.deadlines.set(server, server.deadline)
        return effects

    def respond_once(self, key: TransactionKey, response: Response) -> list[Effect]:
        """Send a final response and forget all, as a stateless server does (§8.2.7, §26.3.2.4)."""
        server = self._servers.pop(key, None)
        if server is None:
            return [Ignored(key, f"{response.status} for no transaction")]
        self.deadlines.set(server, None)
        if server.merge_id is not None:
            del self._merge_ids[server.merge_id]
        return [Send(response.render(), server.flow), Ended(key)]

    def transport_failed(self, flow: Flow, why: str, now: float) -> list[Effect]:
        """A message could not be sent over `flow`, or its connection is gone (§17.1.4, §17.2.4)."""
        effects: list[Effect] = []
        for client in [client for client in self._clients.values() if client.flow == flow]:
            effects += self._settle(client, client.transport_failed(why, now))
        for server in [server for server in self._servers.values() if server.flow == flow]:
            if flow.accepted:
                server.flow = second_path(flow, server.key.port)
            else:
                effects += self._settle(server, server.transport_failed(why, now))
        return effects

    def move(self, key: TransactionKey, flow: Flow) -> None:
        """What is answered to the request of `key` goes by `flow` from now on: its sender came by that."""
        server = self._servers.get(key)
        if server is not None:
            server.flow = flow

    def _receive_response(self, response: Response, now: float) -> list[Effect]:
        key = client_key(response)
        client = self._clients.get(key)
        if client is None:
            # Also a 2xx (RFC 6026 §8.9): nobody is left who could acknowledge it.
            return [Ignored(key, f"{response.status} for no transaction")]
        headers = response.headers
        if (headers.has_repeated or "," in headers.first["Via"]) and len(headers.values("Via")) > 1:
            return [Ignored(key, f"{response.status} with several Vias")]  # §8.1.3.3: meant for another
        return self._settle(client, client.receive_response(response, now))

    def _receive_ack(self, ack: Request, server: Server | None, flow: Flow, now: float) -> list[Effect]:
        if not isinstance(server, InviteServerTransaction):
            return [RequestIn(ack, None, flow)]
        if server.answered_tag is not None and server.answered_tag != ack.to.tag:
            return [RequestIn(ack, None, flow)]  # RFC 2543 matching: it acknowledges another response
        return self._settle(server, server.receive_ack(ack, flow, now))

    def _open(self, request: Request, key: TransactionKey, flow: Flow, now: float) -> list[Effect]:
        method = request.method
        reply_flow = trace_reply_path(request, flow)
        if method == "INVITE":
            invite = InviteServerTransaction(key, reply_flow, self._timers)
            self._servers[key] = invite
            merged = self._is_merged(request, invite)
            effects = invite.start(request, now)
            effects.append(RequestIn(request, key, flow, None, merged))
            return effects
        server = NonInviteServerTransaction(key, reply_flow, self._timers)
        self._servers[key] = server
        if method == "CANCEL":
            invite_key = invite_key_of(key)
            return [RequestIn(request, key, flow, invite_key if invite_key in self._servers else None)]
        return [RequestIn(request, key, flow, None, self._is_merged(request, server))]

    def _is_merged(self, request: Request, server: Server) -> bool:
        """Whether the request is being served already, having come by another path (§8.2.2.2)."""
        if request.to.tag is not None:
            return False
        cseq = request.cseq
        merge_id = (request.call_id, request.from_.tag or "", cseq.number, cseq.method)
        if merge_id in self._merge_ids:
            return True
        self._merge_ids[merge_id] = server.key
        server.merge_id = merge_id
        return False

    def _limit_invite(self, key: TransactionKey, now: float) -> None:
        invite = self._clients.get(key)
        if not isinstance(invite, InviteClientTransaction):
            return
        if invite.state is State.CALLING:
            raise UsageError("CANCEL before any provisional response")
        invite.cancel(now)  # has nothing to say; after the final response nothing to do either
        self._settle(invite, [])

    def _settle(self, transaction: Client | Server, effects: list[Effect]) -> list[Effect]:
        """Keep the clock in step with `transaction`, or forget it at its end."""
        self.deadlines.set(transaction, transaction.deadline)
        if transaction.state is not _TERMINATED:
            return effects
        if isinstance(transaction, InviteClientTransaction | NonInviteClientTransaction):
            del self._clients[transaction.key]
            return effects
        del self._servers[transaction.key]
        if transaction.merge_id is not None:
            del self._merge_ids[transaction.merge_id]
        return effects
