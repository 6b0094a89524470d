"""What a client says to log in: PLAIN (RFC 4616), LOGIN, XOAUTH2, over SMTP (RFC 4954)."""

import base64
from dataclasses import dataclass, field
from typing import Final

PASSWORDS: Final = ("PLAIN", "LOGIN")  # the order in which they are taken


@dataclass(frozen=True, slots=True)
class Login:
    """`secret` is the password, or the token of XOAUTH2; `mechanisms` the ones to use, the best first."""

    user: str
    secret: str = field(repr=False)
    mechanisms: tuple[str, ...] = PASSWORDS

    def redact(self, text: bytes) -> bytes:
        """`text` without our secret: a server may say anything about what it got."""
        secret = self.secret.encode()
        for told in (self.first("PLAIN"), self.first("XOAUTH2"), secret):
            text = text.replace(encode_answer(told), b"***")
        return text.replace(secret, b"***") if secret else text

    def choose(self, offered: str) -> str:
        """The mechanism to use of those that the server offers ("PLAIN LOGIN"); "" = none fits."""
        known = offered.upper().split()
        return next((each for each in self.mechanisms if each in known), "")

    def first(self, mechanism: str) -> bytes:
        """What goes along with the AUTH command; b"" = the server speaks first."""
        if mechanism == "PLAIN":
            return f"\0{self.user}\0{self.secret}".encode()
        if mechanism == "XOAUTH2":
            return f"user={self.user}\1auth=Bearer {self.secret}\1\1".encode()
        return b""

    def answer(self, mechanism: str, said: int) -> bytes | None:
        """The answer to a challenge when `said` of our messages went before; None = there is none, give up.

        A server that refuses a token of XOAUTH2 gives its reasons as a challenge, and wants no word on them.
        """
        messages = {"LOGIN": (self.user.encode(), self.secret.encode()), "XOAUTH2": (b"", b"")}
        left = messages.get(mechanism, ())[said:]
        return left[0] if left else None


def auth_command(login: Login, mechanism: str) -> bytes:
    """The AUTH command, without its line end."""
    first = login.first(mechanism)
    return b" ".join((b"AUTH", mechanism.encode(), *([encode_answer(first)] if first else [])))


def encode_answer(answer: bytes) -> bytes:
    """An answer as it goes over the wire."""
    return base64.b64encode(answer)
