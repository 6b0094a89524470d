"""Which transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3; RFC 2543 §10.1.2 for old peers)."""

from typing import Final, NamedTuple

from pbx.sip.message import Request, Response

MAGIC_COOKIE: Final = "z9hG4bK"
_COOKIE: Final = MAGIC_COOKIE.lower()


class TransactionKey(NamedTuple):
    """What all messages of one transaction have in common. An ACK has the key of its INVITE."""

    is_server: bool
    method: str
    branch: str  # in lower case; empty for a peer of RFC 2543
    host: str = ""  # server only: the sent-by of the top Via; two clients may choose the same branch
    port: int = 0
    rfc2543: tuple[str | int, ...] = ()  # instead of a branch: Request-URI, tags, Call-ID, CSeq number, Via

    @property
    def is_rfc2543(self) -> bool:
        """Whether the peer gives no branch that identifies a transaction."""
        return not self.branch


def server_key(request: Request) -> TransactionKey:
    """The key of the server transaction that `request` opens or belongs to.

    A branch without the magic cookie, or that is nothing else, says nothing: then everything that RFC 3261
    §17.2.3 names is compared. The To tag is left out of it for INVITE and ACK, which differ in it; the ACK's
    is compared with the response's by the layer.
    """
    via = request.via
    method = request.method
    branch = (via.params.get("branch") or "").lower()
    if method == "ACK":
        method = "INVITE"
    if branch.startswith(_COOKIE) and len(branch) > len(_COOKIE):
        return TransactionKey(True, method, branch, via.host.lower(), via.port or 0)
    return TransactionKey(True, method, "", via.host.lower(), via.port or 0, _old_identity(request, method))


def client_key(message: Request | Response) -> TransactionKey:
    """The key of the client transaction that a request of ours opens, or that a response answers."""
    return TransactionKey(False, message.cseq.method, (message.via.branch or "").lower())


def invite_key_of(cancel: TransactionKey) -> TransactionKey:
    """The key of the INVITE that a CANCEL means (RFC 3261 §9.2)."""
    return cancel._replace(method="INVITE")


def _old_identity(request: Request, method: str) -> tuple[str | int, ...]:
    return (
        request.uri,
        request.from_.tag or "",
        "" if method in ("INVITE", "CANCEL") else request.to.tag or "",
        request.call_id,
        request.cseq.number,
        _without_source(request),
    )


def _without_source(request: Request) -> str:
    """The top Via's parameters but for those that we add (reply_path.py), in a form that compares."""
    params = request.via.params
    return ";".join(f"{name}={params[name]}" for name in sorted(params) if name not in ("received", "rport"))
