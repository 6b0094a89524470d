"""A tiny SIP client over UDP: to ask whether the server is up, and to say what no phone would say."""

import hashlib
import itertools
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

WAIT_S: Final = 60.0
PROBE_S: Final = 1.0  # for an answer to OPTIONS, which may be asked again


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    text: str

    def headers(self, name: str) -> list[str]:
        return [
            value.strip()
            for value in re.findall(
                rf"^{re.escape(name)}[ \t]*:(.*)$", self.text, re.MULTILINE | re.IGNORECASE
            )
        ]


@dataclass(frozen=True, slots=True)
class Challenge:
    """An MD5 challenge (RFC 7616 §3.3)."""

    realm: str
    nonce: str
    name: str = "Authorization"

    def answer(
        self, method: str, uri: str, username: str, password: str, count: int = 1, cnonce: str = ""
    ) -> str:
        """The header line for the `count`th request under this nonce, with qop=auth."""
        cnonce, nc = cnonce or uuid.uuid4().hex[:12], f"{count:08x}"
        secret = md5(f"{username}:{self.realm}:{password}")
        response = md5(f"{secret}:{self.nonce}:{nc}:{cnonce}:auth:{md5(f'{method}:{uri}')}")
        return (
            f'{self.name}: Digest username="{username}", realm="{self.realm}", nonce="{self.nonce}", '
            f'uri="{uri}", response="{response}", algorithm=MD5, cnonce="{cnonce}", qop=auth, nc={nc}'
        )


class SipClient:
    """One UDP socket that sends requests to `server` and waits for their final answers."""

    def __init__(self, server: tuple[str, int], local: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        if family == socket.AF_INET6 and ":" not in local[0]:
            local = ("::1", local[1])
        self._server = server
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind(local)
        self._socket.settimeout(WAIT_S)
        self._sequence = itertools.count(1)
        self.call_id = uuid.uuid4().hex
        self.tag = uuid.uuid4().hex[:10]
        self.port = self._socket.getsockname()[1]
        self.host = f"[{local[0]}]" if family == socket.AF_INET6 else local[0]

    @property
    def domain(self) -> str:
        host, port = self._server[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, self._server)

    def request(
        self, method: str, uri: str, from_uri: str, to_uri: str, extra: tuple[str, ...] = (), body: str = ""
    ) -> Reply | None:
        """Send one request once; its final answer, or None when none comes in time."""
        branch = f"z9hG4bK{uuid.uuid4().hex[:16]}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: <{from_uri}>;tag={self.tag}",
            f"To: <{to_uri}>",
            f"Call-ID: {self.call_id}",
            f"CSeq: {next(self._sequence)} {method}",
            *extra,
            f"Content-Length: {len(body)}",
        ]
        self.send(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        return self._wait_final(branch)

    def options(self) -> Reply | None:
        """Is anybody there?"""
        uri = f"sip:{self.domain}"
        self._socket.settimeout(PROBE_S)
        return self.request("OPTIONS", uri, f"sip:probe@{self.host}", uri)

    def register(
        self,
        username: str,
        password: str,
        contact: str = "",
        expires: int = 300,
        challenge: Challenge | None = None,
    ) -> Reply | None:
        """REGISTER, with credentials after the challenge (or to a `challenge` that is known already)."""
        aor, uri = f"sip:{username}@{self.domain}", f"sip:{self.domain}"
        contact = contact or f"<sip:{username}@{self.host}:{self.port}>"
        extra = (f"Contact: {contact}", f"Expires: {expires}")
        if challenge is None:
            reply = self.request("REGISTER", uri, aor, aor, extra)
            if reply is None or reply.status != 401:
                return reply
            challenge = find_challenge(reply)
        answer = challenge.answer("REGISTER", uri, username, password)
        return self.request("REGISTER", uri, aor, aor, (answer, *extra))

    def _wait_final(self, branch: str) -> Reply | None:
        while True:
            try:
                text = self._socket.recv(65536).decode("utf-8", "replace").replace("\r\n", "\n")
            except (TimeoutError, ConnectionRefusedError):
                return None
            if text.startswith("SIP/2.0 ") and branch in text and (status := int(text[8:11])) >= 200:
                return Reply(status, text)


@contextmanager
def sip_client(server: tuple[str, int], local: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[SipClient]:
    client = SipClient(server, local)
    try:
        yield client
    finally:
        client.close()


def find_challenge(reply: Reply) -> Challenge:
    """The MD5 one of a 401's or 407's challenges."""
    for header, name in (
        ("WWW-Authenticate", "Authorization"),
        ("Proxy-Authenticate", "Proxy-Authorization"),
    ):
        for value in reply.headers(header):
            algorithm = re.search(r'algorithm="?([\w-]+)', value)
            if algorithm is None or algorithm[1].upper() == "MD5":
                realm, nonce = (re.search(rf'{key}="([^"]*)"', value) for key in ("realm", "nonce"))
                assert realm is not None, value
                assert nonce is not None, value
                return Challenge(realm[1], nonce[1], name)
    raise AssertionError(f"no MD5 challenge in {reply.text}")


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
