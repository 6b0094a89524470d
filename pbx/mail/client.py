"""One connection to the mail server: Twisted's client, made safe against what servers may say.

Of Twisted's `ESMTPClient` the order of the commands is used. Replies are read by ours (limits, no unexpected
ones), logging in is ours (no password in its log), and before the final dot of a message the outbox is told.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.mail.smtp import ESMTPClient
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

from pbx.mail.reply import MalformedReplyError, ReplyReader, extensions, words
from pbx.mail.sasl import Login, auth_command, encode_answer
from pbx.mail.schedule import Outcome, Verdict
from pbx.net.addresses import parse_ip
from pbx.net.stream import describe

LOGIN_WANTED: Final = (530, 534, 535, 538)  # RFC 4954 §6: not the message's fault
CLOSING: Final = 421
TAKEN: Final = [*range(200, 300)]
MOST_LATER: Final = 20  # messages put off one after the other: the server has enough of us


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait for what, in seconds (RFC 5321 §4.5.3.2), each for the whole answer."""

    connect_s: float = 30.0
    reply_s: float = 300.0
    block_s: float = 180.0  # while nothing of the message's text gets away
    end_s: float = 600.0  # for the answer to the whole message
    close_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message ready to go: `data` with CRLF line ends, dots not yet doubled. `id` is the outbox's."""

    id: str
    sender: str
    recipient: str
    data: bytes


def double_dots(data: bytes) -> bytes:
    """The text of a message as it goes over the wire (RFC 5321 §4.5.2); the final dot comes after it."""
    whole = data if data.endswith(b"\r\n") else data + b"\r\n"
    return (b"." if whole.startswith(b".") else b"") + whole.replace(b"\r\n.", b"\r\n..")


class Source(Protocol):
    """Where the messages come from, and who is told what becomes of them."""

    def next(self) -> "Deferred[Parcel | None]":
        """The next message; None = there is none, and the connection ends."""
        ...

    def commit(self, parcel: Parcel) -> "Deferred[bool]":
        """The last byte is about to be sent. False, or a failure: it must not be."""
        ...

    def done(self, parcel: Parcel, outcome: Outcome | None) -> None:
        """What became of it; None: nothing was tried, or it is somebody else's by now."""
        ...

    def closed(self, connection: "SmtpConnection", trouble: str) -> None:
        """The connection is over; `trouble` is what was wrong with the server, "" = nothing."""
        ...


_Base: Any = ESMTPClient  # half of Twisted's has types


class SmtpConnection(_Base):  # type: ignore[misc]
    """Logs in and hands in messages one by one, until the source has no more.

    Args:
        login: None = without.
        context: for STARTTLS (what `TrustedServers.expect` gives), None = never.
        needs_tls: without encryption nothing is sent.
        shows_password: may log in without encryption.
    """

    debug = False  # its log would hold passwords, and goes into errors
    MAX_LENGTH = 4096  # of a line; RFC 5321 §4.5.3.1.5 allows 512

    def __init__(
        self,
        clock: Any,
        source: Source,
        login: Login | None,
        context: Any,
        needs_tls: bool,
        shows_password: bool,
        patience: Patience,
    ) -> None:
        super().__init__(None, context, b"")
        self.requireTransportSecurity = needs_tls
        self.requireAuthentication = login is not None
        self.callLater = clock.callLater  # of TimeoutMixin
        self._source, self._login, self._shows_password = source, login, shows_password
        self._patience = patience
        self._reader = ReplyReader()
        self._parcel: Parcel | None = None
        self._mechanism, self._told = "", 0
        self._most_bytes = 0  # of a message; 0 = not said
        self._is_asked = False  # a reply is due
        self._is_committing = False
        self._is_complete = False  # the final dot is out, its answer is not in
        self._is_over = False  # we close, or it is closed
        self._is_left = False  # we have said QUIT because all is done
        self.is_lost = False
        self._is_stopping = False
        self._taken = self._later = 0
        self._why = ""

    # --- from outside --------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End soon: only the answer to a message that is out already is waited for."""
        self._is_stopping = True
        if self._is_over or self._is_complete or self._is_committing:
            return
        self._give_back()
        self._is_left = True
        self._close()

    # --- the connection ------------------------------------------------------------------------------------

    def connectionMade(self) -> None:  # noqa: N802
        host = parse_ip(self.transport.getHost().host)
        literal = f"[{'IPv6:' if host is not None and host.version == 6 else ''}{host}]"
        self.identity = literal.encode() if host is not None else b"localhost"  # RFC 5321 §4.1.3
        super().connectionMade()
        self._is_asked = True
        self.setTimeout(self._patience.reply_s)

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        self.setTimeout(None)
        self._is_over = self.is_lost = True
        self._why = self._why or describe(reason)
        if not self._is_committing:  # else the outbox must first have said that it knows
            self._settle_loss()
        is_trouble = not self._is_left and not self._taken
        self._source.closed(self, self._why if is_trouble else "")

    def _settle_loss(self) -> None:
        if self._is_complete:
            says = f"{self._why}, before it was said whether the message is taken: it may arrive twice"
            self._report(Outcome(Verdict.DOUBTFUL, says))
        else:
            self._report(Outcome(Verdict.LATER, self._why))

    def timeoutConnection(self) -> None:  # noqa: N802
        self._break("the server does not answer" if not self._is_over else self._why)

    def _say_why(self, code: int, text: bytes) -> str:
        return f"{code} {words(self._login.redact(text) if self._login else text)}".rstrip()

    def _refuse(self, why: str) -> None:
        """Go, in good manners, since the server is of no use."""
        self._why = self._why or why
        self._close()

    def _break(self, why: str) -> None:
        """Cut the connection."""
        self._why = self._why or why
        self._is_over = True
        self.setTimeout(None)
        self.transport.abortConnection()

    def _close(self) -> None:
        if not self._is_over:
            self.sendLine(b"QUIT")
            self._is_over = True
            self.setTimeout(self._patience.close_s)
            self.transport.loseConnection()

    # --- replies -------------------------------------------------------------------------------------------

    def sendLine(self, line: bytes) -> None:  # noqa: N802
        """Send a command, to which one reply is due."""
        self._is_asked = True
        self.setTimeout(self._patience.reply_s)
        self.transport.write(line + b"\r\n")

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        if self._is_over:
            return
        try:
            reply = self._reader.feed(line)
        except MalformedReplyError as error:
            self._break(str(error))
            return
        if reply is None:
            return
        if not self._is_asked:
            self._break(f"the server says unasked: {self._say_why(reply.code, reply.text)}")
            return
        self._is_asked = False
        self.setTimeout(None)
        is_expected = reply.code in self._expected
        (self._okresponse if is_expected else self._failresponse)(reply.code, reply.text)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        self._break(f"the server does not speak SMTP: a line of over {self.MAX_LENGTH} bytes: {words(line)}")

    # --- hello, encryption, login --------------------------------------------------------------------------

    def smtpConnectionFailed(self, code: int, resp: bytes) -> None:  # noqa: N802
        self._refuse(self._say_why(code, resp))

    def esmtpEHLORequired(self, code: int = -1, resp: bytes = b"") -> None:  # noqa: N802
        self._refuse(self._say_why(code, resp))

    def smtpState_helo(self, code: int, resp: bytes) -> None:  # noqa: N802
        super().smtpState_helo(code, resp)
        self._failresponse = self.smtpConnectionFailed  # Twisted's says HELO again, for ever

    def esmtpState_serverConfig(self, code: int, resp: bytes) -> None:  # noqa: N802
        offered = extensions(resp)
        size = offered.get("SIZE", "")
        self._most_bytes = int(size) if size.isascii() and size.isdigit() and len(size) < 16 else 0
        self.tryTLS(code, resp, {name.encode(): value for name, value in offered.items()})

    def esmtpTLSRequired(self, code: int = -1, resp: bytes = b"") -> None:  # noqa: N802, ARG002
        self._refuse("the server offers no encryption (STARTTLS), which starttls=required asks for")

    def esmtpTLSFailed(self, code: int = -1, resp: bytes = b"") -> None:  # noqa: N802
        self._refuse(self._say_why(code, resp))

    def esmtpState_starttls(self, code: int, resp: bytes) -> None:  # noqa: N802
        if self.clearLineBuffer():  # what came in clear would be taken for encrypted (CVE-2011-0411's kind)
            self._break("the server says more than it is asked before encryption begins")
            return
        self.transport.startTLS(self.context)
        self._tlsMode = True
        self.esmtpState_ehlo(code, resp)

    def authenticate(self, code: int, resp: bytes, items: dict[bytes, str]) -> None:
        login = self._login
        if login is None:
            self.smtpState_from(code, resp)
            return
        if not self._tlsMode and not self._shows_password:
            self._refuse(
                "the server offers no encryption, and the password would be seen (starttls=off allows it)"
            )
            return
        offered = items.get(b"AUTH", "")
        self._mechanism = login.choose(offered)
        if not self._mechanism:
            ours = ", ".join(login.mechanisms)
            self._refuse(
                f"the server offers no way to log in that we may use ({ours}), but: {offered or 'none'}"
            )
            return
        self._told = 1 if login.first(self._mechanism) else 0
        self._expected = [235, 334]
        self._okresponse, self._failresponse = self._challenged, self._login_refused
        self.sendLine(auth_command(login, self._mechanism))

    def _challenged(self, code: int, resp: bytes) -> None:
        if code == 235:
            self.smtpState_from(code, resp)
            return
        assert self._login is not None
        answer = self._login.answer(self._mechanism, self._told)
        self._told += 1
        if answer is None:
            self._refuse("logging in: the server asks for more than there is to say")
        else:
            self.sendLine(encode_answer(answer))

    def _login_refused(self, code: int, resp: bytes) -> None:
        self._refuse(f"login refused: {self._say_why(code, resp)}")

    # --- messages ------------------------------------------------------------------------------------------

    def smtpState_from(self, code: int, resp: bytes) -> None:  # noqa: N802, ARG002
        """Logged in, or done with a message: on to the next."""
        if self._is_stopping:
            self._is_left = True
            self._close()
            return
        self._source.next().addCallbacks(self._begin, self._failed)

    def _begin(self, parcel: Parcel | None) -> None:
        self._parcel = parcel
        if self._is_over:
            self._give_back()
        elif parcel is None:
            self._is_left = True
            self._close()
        elif self._most_bytes and len(parcel.data) > self._most_bytes:
            says = f"the message has {len(parcel.data)} bytes, the server takes at most {self._most_bytes}"
            self._report(Outcome(Verdict.REFUSED, says))
            self.smtpState_from(250, b"")
        else:
            self._expected = [250]
            self._okresponse, self._failresponse = self.smtpState_to, self.smtpState_msgSent
            self.sendLine(b"MAIL FROM:<" + parcel.sender.encode("ascii") + b">")

    def getMailTo(self) -> list[bytes]:  # noqa: N802
        assert self._parcel is not None
        return [self._parcel.recipient.encode("ascii")]

    def smtpState_data(self, code: int, resp: bytes) -> None:  # noqa: N802, ARG002
        assert self._parcel is not None
        text = BytesIO(double_dots(self._parcel.data))
        self.setTimeout(self._patience.block_s)
        sender: Any = FileSender()
        sent: Deferred[Any] = sender.beginFileTransfer(text, self.transport, self._progress)
        sent.addCallbacks(self._commit, self._cut_off)

    def _progress(self, chunk: bytes) -> bytes:
        self.setTimeout(self._patience.block_s)
        return chunk

    def _cut_off(self, _failure: Failure) -> None:
        """The connection was lost in mid-transfer; connectionLost says so."""

    def _commit(self, _last: Any) -> None:
        assert self._parcel is not None
        if self._is_over:
            return
        self.setTimeout(None)
        self._is_committing = True
        self._source.commit(self._parcel).addCallbacks(self._committed, self._not_committed)

    def _committed(self, may_send: bool) -> None:
        self._is_committing = False
        if not may_send:
            self._give_back()
            self._is_left = True  # not the server's trouble
            self._break("a message was no more ours to send")
        elif self._is_over:
            self._settle_loss()
        else:
            self._expected = TAKEN
            self._okresponse = self._failresponse = self.smtpState_msgSent
            self.sendLine(b".")
            self._is_complete = True
            self.setTimeout(self._patience.end_s)

    def _not_committed(self, failure: Failure) -> None:
        self._is_committing = False
        self._is_left = True
        self._report(Outcome(Verdict.LATER, failure.getErrorMessage()))
        self._break(failure.getErrorMessage())

    def smtpState_msgSent(self, code: int, resp: Any) -> None:  # noqa: N802
        """The answer to MAIL, RCPT or DATA that ends a message, or to the whole of it."""
        if isinstance(resp, str):  # Twisted's own words: no recipient was accepted
            resp = self.toAddressesResult[-1][2]
        says, is_complete = self._say_why(code, resp), self._is_complete
        self._is_complete = False
        if code == CLOSING or (code in LOGIN_WANTED and not is_complete):
            self._report(Outcome(Verdict.LATER, says))
            self._refuse(says)
        elif 400 <= code < 600 or (is_complete and code < 300):
            verdict = {2: Verdict.TAKEN, 4: Verdict.LATER, 5: Verdict.REFUSED}[code // 100]
            self._report(Outcome(verdict, says))
            self._go_on(says)
        else:
            self._is_complete = is_complete
            self._break(f"the server answers out of turn: {says}")

    def _go_on(self, says: str) -> None:
        if self._later >= MOST_LATER:
            self._taken = 0  # so that it counts as the server's trouble
            self._refuse(says)
            return
        self._expected = TAKEN
        self._okresponse, self._failresponse = self.smtpState_from, self._reset_refused
        self.sendLine(b"RSET")

    def _reset_refused(self, code: int, resp: bytes) -> None:
        self._refuse(self._say_why(code, resp))

    def _report(self, outcome: Outcome) -> None:
        parcel, self._parcel = self._parcel, None
        self._is_complete = False
        if parcel is not None:
            self._taken += outcome.verdict is Verdict.TAKEN
            self._later = self._later + 1 if outcome.verdict is Verdict.LATER else 0
            self._source.done(parcel, outcome)

    def _give_back(self) -> None:
        parcel, self._parcel = self._parcel, None
        if parcel is not None:
            self._source.done(parcel, None)

    def _failed(self, failure: Failure) -> None:
        """The source has failed, not the server."""
        self._is_left = True
        self._break(failure.getErrorMessage())
