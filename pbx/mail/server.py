"""The mail server as pbx.toml names it: one URL."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from pbx.address import hostport
from pbx.office.values import NotAllowedError

AUTHS: Final = ("auto", "plain", "login", "xoauth2")
STARTTLS: Final = ("required", "optional", "off")
EXAMPLE: Final = "smtp://user:password@host:587?starttls=required"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in.

    `tls` is "always" (from the first byte, RFC 8314), "required", "optional" (STARTTLS, RFC 3207) or "off".
    `user` "" = no login. `auth` is the SASL mechanism, "auto" = the best that both know.
    """

    host: str
    port: int
    tls: str
    user: str = ""
    password: str = field(default="", repr=False)
    auth: str = "auto"

    def __str__(self) -> str:
        return hostport(self.host, self.port)


@dataclass(frozen=True, slots=True)
class MailUrl:
    private = True

    def read(self, raw: object) -> str:
        if raw == "":
            return ""
        if not isinstance(raw, str):
            raise NotAllowedError(f'a URL such as "{EXAMPLE}", or ""')
        try:
            parse_server(raw)
        except ValueError as error:
            raise NotAllowedError(f'{error}, or ""') from None
        return raw


def parse_server(url: str) -> MailServer:
    """The server of a URL `smtp://` or `smtps://`, user and password percent-encoded.

    Options after `?`: `starttls` (required, optional, off; required by default where there is a user, else
    optional) and `auth` (auto, plain, login, xoauth2).

    Raises:
        ValueError: it is none; the text says what is allowed, and holds nothing of the URL's secrets.
    """
    if not url.isprintable() or " " in url:
        raise ValueError(f'a URL such as "{EXAMPLE}"')
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f'a URL such as "{EXAMPLE}"') from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or port == 0:
        raise ValueError(f'a URL such as "{EXAMPLE}"')
    if parts.path not in ("", "/") or parts.fragment:
        raise ValueError(
            "a URL with nothing but options after the host; write / # ? @ in a password as %2F %23 …"
        )
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if password and not user:
        raise ValueError("a user beside the password")
    options = _options(parts.query)
    auth = options.get("auth", "auto")
    if auth != "auto" and not user:
        raise ValueError(f"a user for auth={auth}")
    if parts.scheme == "smtps":
        if "starttls" in options:
            raise ValueError("starttls with smtp:// only; smtps:// is encrypted from the first byte")
        return MailServer(parts.hostname, port or 465, "always", user, password, auth)
    tls = options.get("starttls", "required" if user else "optional")
    return MailServer(parts.hostname, port or (587 if user else 25), tls, user, password, auth)


def _options(query: str) -> dict[str, str]:
    allowed = {"starttls": STARTTLS, "auth": AUTHS}
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in options.items():
        if name not in allowed:
            raise ValueError(f"the options {' and '.join(allowed)} after the ?")
        if value not in allowed[name]:
            raise ValueError(f"{name}= one of {', '.join(allowed[name])}")
    return options
