"""The way to the mail server: token, connection, encryption."""

import subprocess
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import ClientFactory
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from pbx.errors import PbxError
from pbx.mail.client import Parcel, Patience, SmtpConnection, Source
from pbx.mail.sasl import PASSWORDS, Login
from pbx.mail.schedule import Outcome
from pbx.mail.server import MailServer
from pbx.net.stream import describe
from pbx.net.tls import TrustedServers

TOKEN_S: Final = 30.0
LONGEST_TOKEN: Final = 16_384


class MailTroubleError(PbxError):
    """The server takes no mail from us, whatever the message; the text is one line without secrets."""


class Post:
    """Makes connections to the mail server.

    Args:
        token_command: prints the token for XOAUTH2 on its first line; () = log in with the password.
    """

    def __init__(
        self,
        reactor: Any,
        server: MailServer,
        trusted: TrustedServers,
        token_command: Sequence[str] = (),
        patience: Patience | None = None,
    ) -> None:
        self.server = server
        self._reactor, self._trusted, self._token_command = reactor, trusted, tuple(token_command)
        self._patience = patience or Patience()

    async def connect(self, source: Source) -> SmtpConnection:
        """Connect; the connection begins by itself to take messages from the source.

        Raises:
            MailTroubleError: there is no connection, or no token to log in with.
        """
        server = self.server
        login = await self._login()
        context: Any = None
        try:
            if server.tls != "off":
                context = self._trusted.expect(server.host)
        except (
            ValueError,
            PbxError,
        ) as error:  # a host that no certificate can be for, a CA file that is gone
            raise MailTroubleError(f"{server}: {error}") from error
        connection = SmtpConnection(
            self._reactor,
            source,
            login,
            None if server.tls == "always" else context,
            server.tls in ("always", "required"),
            server.tls == "off",
            self._patience,
        )
        endpoint: Any = HostnameEndpoint(
            self._reactor, server.host, server.port, timeout=self._patience.connect_s
        )
        if server.tls == "always":
            endpoint = wrapClientTLS(context, endpoint)
        try:
            await endpoint.connect(_Factory(connection))
        except Exception as error:
            failure = Failure(error)  # type: ignore[no-untyped-call]  # Twisted's
            raise MailTroubleError(f"{server}: {describe(failure)}") from error
        return connection

    async def check(self) -> None:
        """Connect, log in and leave.

        Raises:
            MailTroubleError: something of that does not work.
        """
        await _OneShot(None).run(self)

    async def send_now(self, parcel: Parcel) -> Outcome:
        """Send one message past the outbox.

        Raises:
            MailTroubleError: it was not even tried.
        """
        outcome = await _OneShot(parcel).run(self)
        assert outcome is not None  # `run` raises otherwise
        return outcome

    async def _login(self) -> Login | None:
        server = self.server
        if not server.user:
            return None
        if self._token_command:
            pool = self._reactor.getThreadPool()
            token: str = await deferToThreadPool(self._reactor, pool, fetch_token, self._token_command)
            return Login(server.user, token, ("XOAUTH2",))
        mechanisms = PASSWORDS if server.auth == "auto" else (server.auth.upper(),)
        return Login(server.user, server.password, mechanisms)


def fetch_token(command: Sequence[str]) -> str:
    """The token that a command prints. Blocks: for a thread.

    Raises:
        MailTroubleError: it prints none. What it says is not shown, as it may be the token.
    """
    try:
        run = subprocess.run(  # noqa: S603  # of pbx.toml
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TOKEN_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise MailTroubleError(f"mail.token_command did not end within {TOKEN_S:.0f} s") from None
    except OSError as error:
        raise MailTroubleError(f"mail.token_command: {command[0]}: {error.strerror}") from None
    if run.returncode != 0:
        raise MailTroubleError(f"mail.token_command failed with exit code {run.returncode}")
    token = run.stdout[: LONGEST_TOKEN + 1].partition(b"\n")[0].strip()
    if not token or len(token) > LONGEST_TOKEN or not all(33 <= byte < 127 for byte in token):
        raise MailTroubleError("mail.token_command printed no token on its first line")
    return token.decode("ascii")


class _Factory(ClientFactory):
    noisy = False

    def __init__(self, connection: SmtpConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802, ARG002
        return self._connection


class _OneShot:
    """A source of one message, or of none."""

    def __init__(self, parcel: Parcel | None) -> None:
        self._parcel = parcel
        self._outcome: Outcome | None = None
        self._wants_outcome = parcel is not None
        self._closed: Deferred[str] = Deferred()

    async def run(self, post: Post) -> Outcome | None:
        await post.connect(self)
        trouble = await self._closed
        if self._outcome is None and (trouble or self._wants_outcome):
            raise MailTroubleError(f"{post.server}: {trouble}")
        return self._outcome

    def next(self) -> "Deferred[Parcel | None]":
        parcel, self._parcel = self._parcel, None
        given: Deferred[Parcel | None] = Deferred()
        given.callback(parcel)
        return given

    def commit(self, parcel: Parcel) -> "Deferred[bool]":  # noqa: ARG002
        given: Deferred[bool] = Deferred()
        given.callback(True)
        return given

    def done(self, parcel: Parcel, outcome: Outcome | None) -> None:  # noqa: ARG002
        self._outcome = outcome

    def closed(self, connection: SmtpConnection, trouble: str) -> None:  # noqa: ARG002
        self._closed.callback(trouble)
