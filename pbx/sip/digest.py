"""Digest access authentication for SIP (RFC 7616, RFC 8760, RFC 3261 §22): challenges and credentials."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import md5, sha256
from hmac import compare_digest
from typing import Final, NamedTuple

from pbx.errors import UsageError
from pbx.immutable import immutable
from pbx.sip.grammar import MalformedMessageError, quote, unquote
from pbx.sip.nonces import Nonces, Use
from pbx.sip.uri import SipUri, parse_uri

# auth-param = token EQUAL ( token / quoted-string ). No parameter of a challenge that is used has a name
# beyond \w, and starting only at the edge of a word keeps the search linear whatever a stranger sends.
_PARAM = re.compile(r'\b(\w+)\s*+=\s*+("[^"\\]*+(?>(?:\\.[^"\\]*+)*)"|[^\s,"]*+)', re.DOTALL)


def _credentials_pattern(equal: str, quoted: str, separator: str, flags: int) -> re.Pattern[str]:
    """credentials = "Digest" LWS dig-resp *(COMMA dig-resp), parameters in any order, one group each."""
    strings = [
        f'{name}{equal}"({quoted})"' for name in ("username", "realm", "nonce", "uri", "response", "cnonce")
    ]
    tokens = [rf'{name}{equal}"?([\w\-]*+)"?' for name in ("algorithm", "qop", "nc")]
    other = rf'[\w\-*]++{equal}(?:"{quoted}"|[^\s,"]*+)'
    # Atomic groups: the possessive repetition of a group goes wrong in Python before 3.11.5 (gh-106052).
    return re.compile(rf"Digest[ \t]++(?>(?:(?:{'|'.join([*strings, *tokens, other])}){separator})+)", flags)


# What phones send, and what the grammar allows beside: twice as slow.
_PLAIN = _credentials_pattern("=", r'[^"\\]*+', r"(?:, ?|\Z)", 0)
_ANY = _credentials_pattern(
    r"[ \t]*+=[ \t]*+",
    r'[^"\\]*+(?>(?:\\.[^"\\]*+)*)',
    r"[ \t]*+(?>(?:,[ \t]*+)*)",
    re.IGNORECASE | re.DOTALL,
)

ALGORITHMS: Final = ("SHA-256", "MD5")  # RFC 8760 §2.3: the one that is liked best comes first
# RFC 7616 §3.4.2: those whose A1 holds the nonces of the session's beginning; as a client only.
SESSION: Final = {"MD5-SESS": "MD5-sess", "SHA-256-SESS": "SHA-256-sess"}
ANSWERED: Final = ("SHA-256", "SHA-256-SESS", "MD5", "MD5-SESS")  # by a client, the strongest first
QUALITIES: Final = ("auth", "auth-int")  # of protection, as a client chooses them
LONGEST_VALUE: Final = 4096  # characters of one Authorization value that are looked at
MOST_VALUES: Final = 8  # Authorization lines of one request that are looked at
MOST_HA2: Final = 1024  # H(A2)s remembered
NONCE_LIFE_S: Final = 300.0  # how long a nonce is good for
_AUTH: Final = ("auth", "AUTH", "Auth")


class Ha1Pair(NamedTuple):
    """What stands for a password (RFC 7616 §3.4.2): H(username:realm:password) in lower-case hexadecimal."""

    md5: str
    sha256: str


_md5 = partial(md5, usedforsecurity=False)  # RFC 3261 §22.4 wants it; that does not make it strong


def make_ha1(username: str, realm: str, password: str) -> Ha1Pair:
    a1 = f"{username}:{realm}:{password}".encode("utf-8", "surrogateescape")
    return Ha1Pair(_md5(a1).hexdigest(), sha256(a1).hexdigest())


Lookup = Callable[[str], Ha1Pair | None]


@immutable
class Accepted:
    """The request comes from whoever knows the password of `username`."""

    username: str


@immutable
class Refused:
    """The request must be challenged.

    Attributes:
        is_stale: the nonce was the fault, not the password: the challenge says stale=true.
        username: whom the credentials named, None without usable ones. Nothing says that he exists.
        why: for the log only.
        is_wrong: a wrong username or password with a nonce of ours: one attempt for attempts.AttemptLimiter.
    """

    is_stale: bool
    username: str | None
    why: str
    is_wrong: bool = False


class Authenticator:
    """The server's side: challenges requests and checks their credentials, for one realm.

    Nothing is kept for a challenge; only an accepted request makes its nonce's counts be remembered, and
    those of at most `capacity` nonces (pbx.sip.nonces).
    """

    def __init__(
        self,
        realm: str,
        secret: bytes,
        *,
        algorithms: Sequence[str] = ALGORITHMS,
        capacity: int = 20_000,
    ) -> None:
        """Make one.

        Args:
            realm: of every challenge; what the HA1s were made with.
            secret: at least 16 unpredictable bytes, fresh in every run: `now` starts anew then, so an
                earlier run's nonces must die. Phones get stale=true for them.
            algorithms: those offered, in this order.
            capacity: nonces whose counts are remembered at a time.

        Raises:
            UsageError: a short secret, or an algorithm that is not in ALGORITHMS.
        """
        if not algorithms or not set(algorithms) <= set(ALGORITHMS):
            raise UsageError(f"no such digest algorithms: {algorithms!r}")
        self.realm = realm
        self._nonces = Nonces(realm, secret, NONCE_LIFE_S, capacity)
        self._quoted_realm = quote(realm)[1:-1]
        self._ha2s: dict[tuple[bool, str], str] = {}
        self._prefix = f'Digest realm={quote(realm)}, nonce="'
        self._offers = {name: f'", algorithm={name}, qop="auth"' for name in algorithms}
        self._algorithms = frozenset(algorithms)
        # Whom nobody can be: unknown users cost what known ones cost, and their answer is never right.
        self._nobody = make_ha1("", realm, sha256(secret).hexdigest())

    def make_nonce(self, now: float, client: str = "") -> str:
        """A nonce that nobody had before, good from `now` on for `client` only."""
        return self._nonces.make(now, client)

    def challenge(
        self, now: float, stale: bool = False, client: str = "", *, algorithms: Sequence[str] = ()
    ) -> list[str]:
        """The values of the WWW-Authenticate or Proxy-Authenticate lines, in their order (RFC 8760 §2.3).

        Args:
            now: monotonic seconds.
            stale: `Refused.is_stale`.
            client: the peer's IP address. What is answered from another one is stale, so nobody can make
                wrong attempts in another's name. "" on both sides binds to nobody.
            algorithms: those offered, in this order, where a phone needs others than the usual ones.
        """
        nonce = self._nonces.make(now, client)
        head, end = self._prefix + nonce, ", stale=true" if stale else ""
        return [head + self._offers[name] + end for name in algorithms or self._offers]

    def check(
        self,
        method: str,
        values: Sequence[str],
        lookup: Lookup,
        now: float,
        request_uri: str,
        *,
        client: str = "",
    ) -> Accepted | Refused:
        """Judge the credentials of a new request (a retransmission would be a replay).

        A nonce that is not ours, or no longer good, is stale whatever the password (RFC 7616 §3.3), so that
        passwords can only be tried with fresh nonces, one attempt each.

        Args:
            method: of the request.
            values: all its Authorization or Proxy-Authorization values, raw.
            lookup: the HA1s of a username, None for an unknown one.
            now: monotonic seconds.
            request_uri: as the request line has it.
            client: as for `challenge`.
        """
        found = self._find(values)
        if found is None:
            return _NO_CREDENTIALS
        username, _realm, nonce, uri, response, cnonce, algorithm, _qop, nc = found
        count = _nonce_count(nc)
        if not (username and nonce and uri and response and cnonce and count):
            return _MALFORMED
        if "\\" in username:
            username = unquote(f'"{username}"')
        if uri != request_uri and not is_same_resource(uri, request_uri):
            return Refused(False, username, "its uri is not the Request-URI")
        ours = self._nonces.read(nonce, client)
        if ours is None:
            return Refused(True, username, "not a nonce of ours")
        number, expires_at = ours
        if expires_at <= now:
            return Refused(True, username, "an old nonce")

        known = lookup(username)
        is_md5 = algorithm is None or algorithm.upper() == "MD5"
        ha1 = self._nobody if known is None else known
        try:
            ha2 = self._ha2(is_md5, f"{method}:{uri}")
            text = f"{ha1.md5 if is_md5 else ha1.sha256}:{nonce}:{nc}:{cnonce}:auth:{ha2}"
            expected = (_md5 if is_md5 else sha256)(text.encode("utf-8", "surrogateescape")).hexdigest()
        except UnicodeEncodeError:  # no text that came over a wire
            return _MALFORMED
        is_right = response.isascii() and compare_digest(expected, response.lower())
        if not is_right or known is None:
            return Refused(False, username, "wrong password" if known else "unknown user", is_wrong=True)

        use = self._nonces.use(number, count)
        return Accepted(username) if use is Use.NEW else Refused(True, username, _USED[use])

    # --- inside --------------------------------------------------------------------------------------------

    def _find(self, values: Sequence[str]) -> Sequence[str | None] | None:
        """What the pattern groups in the first credentials that answer a challenge of ours."""
        for value in values[:MOST_VALUES]:
            if len(value) > LONGEST_VALUE:
                continue
            match = _PLAIN.fullmatch(value) or _ANY.fullmatch(value)
            if match is None:
                continue
            found: Sequence[str | None] = match.groups()
            if found[1] != self._quoted_realm or found[7] not in _AUTH:
                continue
            algorithm = found[6]
            if algorithm in self._algorithms or (algorithm or "MD5").upper() in self._algorithms:
                return found
        return None

    def _ha2(self, is_md5: bool, a2: str) -> str:
        """H(A2), remembered: phones ask for the same few things all day."""
        value = self._ha2s.get((is_md5, a2))
        if value is None:
            value = (_md5 if is_md5 else sha256)(a2.encode("utf-8", "surrogateescape")).hexdigest()
            if len(self._ha2s) >= MOST_HA2:
                self._ha2s.clear()
            self._ha2s[is_md5, a2] = value
        return value


_NO_CREDENTIALS: Final = Refused(False, None, "no usable credentials")
_USED: Final = {
    Use.REPLAY: "a replay: this nonce count was used",
    Use.FORGOTTEN: "a nonce that was forgotten",
}
_MALFORMED: Final = Refused(False, None, "a parameter is missing or malformed")


def is_same_resource(uri: str, request_uri: str) -> bool:
    """Whether two URIs mean one resource (RFC 7616 §3.4.6), tolerantly.

    User, host and port decide, an absent port being the default one: some phones leave parameters or the port
    out of one of the two. A `uri` without user stands for whatever is at the server: SIPp writes it so.
    """
    if uri == request_uri:
        return True
    try:
        ours, theirs = parse_uri(request_uri), parse_uri(uri)
    except MalformedMessageError:
        return False
    if not isinstance(ours, SipUri) or not isinstance(theirs, SipUri):
        return ours == theirs
    if theirs.user is None:
        return True
    if ours.user != theirs.user or ours.host.lower() != theirs.host.lower():
        return False
    return ours.port == theirs.port or {ours.port, theirs.port} <= {None, 5060, 5061}


# --- the client's side -------------------------------------------------------------------------------------


@immutable
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate value that we can answer."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: str = "auth"  # or "auth-int", where only that is offered; "": a server of RFC 2069
    opaque: str | None = None
    is_stale: bool = False
    names_algorithm: bool = True


def read_challenges(values: Sequence[str]) -> list[Challenge]:
    """The challenges that we can answer, in their order: the topmost is to be preferred (RFC 8760 §2.4)."""
    return [each for value in values[:MOST_VALUES] if (each := _read_challenge(value)) is not None]


def _read_challenge(value: str) -> Challenge | None:
    params = _parse(value)
    if params is None or "realm" not in params or "nonce" not in params:
        return None
    offered = [option.strip().lower() for option in _bare(params.get("qop", "")).split(",")]
    known = [qop for qop in QUALITIES if qop in offered]
    algorithm = _algorithm(params)
    if algorithm not in ANSWERED or (not known and ("qop" in params or algorithm in SESSION)):
        return None
    return Challenge(
        realm=unquote(params["realm"]),
        nonce=_bare(params["nonce"]),
        algorithm=algorithm,
        qop=known[0] if known else "",
        opaque=_bare(params["opaque"]) if "opaque" in params else None,
        is_stale=_bare(params.get("stale", "")).lower() == "true",
        names_algorithm="algorithm" in params,
    )


def answer(
    challenge: Challenge,
    username: str,
    secret: str | Ha1Pair,
    method: str,
    uri: str,
    *,
    nc: int,
    cnonce: str,
    body: bytes = b"",
) -> str:
    """The value of an Authorization or Proxy-Authorization header (RFC 7616 §3.4).

    Args:
        challenge: from `read_challenges`.
        username: ours at the server.
        secret: the password, or what `make_ha1` made of it for the challenge's realm.
        method: of the request.
        uri: its Request-URI.
        nc: how many requests this nonce has been used for, this one included: 1 and up.
        cnonce: an unpredictable word; where `algorithm` is one of SESSION, the same as long as the nonce is.
        body: of the request: qop=auth-int covers it (§3.4.3).
    """
    ha1 = make_ha1(username, challenge.realm, secret) if isinstance(secret, str) else secret
    is_md5 = challenge.algorithm.startswith("MD5")

    def digest(data: bytes) -> str:
        return (_md5 if is_md5 else sha256)(data).hexdigest()

    a2 = f"{method}:{uri}:{digest(body)}" if challenge.qop == "auth-int" else f"{method}:{uri}"
    nonce = f"{challenge.nonce}:{nc:08x}:{cnonce}:{challenge.qop}" if challenge.qop else challenge.nonce
    h_a1 = ha1.md5 if is_md5 else ha1.sha256
    if challenge.algorithm in SESSION:
        h_a1 = digest(_octets(f"{h_a1}:{challenge.nonce}:{cnonce}"))
    text = f"{h_a1}:{nonce}:{digest(_octets(a2))}"
    parts = [
        f"Digest username={quote(username)}, realm={quote(challenge.realm)}",
        f'nonce="{challenge.nonce}", uri="{uri}", response="{digest(_octets(text))}"',
    ]
    if challenge.names_algorithm:
        parts.append(f"algorithm={SESSION.get(challenge.algorithm, challenge.algorithm)}")
    if challenge.qop:
        parts.append(f'cnonce="{cnonce}", qop={challenge.qop}, nc={nc:08x}')
    if challenge.opaque is not None:
        parts.append(f'opaque="{challenge.opaque}"')
    return ", ".join(parts)


# --- parameters --------------------------------------------------------------------------------------------


def _parse(value: str) -> dict[str, str] | None:
    """The parameters of a Digest challenge, values as written; None for another scheme.

    What cannot be read is passed over: a challenge is only ever answered, never obeyed.
    """
    if len(value) > LONGEST_VALUE or value[:6].lower() != "digest" or value[6:7] not in (" ", "\t"):
        return None
    params = dict(_PARAM.findall(value, 7))
    if "nonce" not in params or "realm" not in params:
        params = {name.lower(): text for name, text in params.items()}
    return params


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _bare(text: str) -> str:
    """What RFC 7616 §3.4 calls unq(): only the quotes go, what is escaped between them stays so."""
    return text[1:-1] if text[:1] == '"' else text


def _algorithm(params: Mapping[str, str]) -> str:
    return _bare(params.get("algorithm", "MD5")).upper()  # RFC 7616 §3.3: absent means MD5


def _nonce_count(text: str | None) -> int:
    """nc-value = 8LHEX, read tolerantly; 0 for what is none."""
    try:
        return int(text, 16) if text and len(text) <= 8 else 0
    except ValueError:
        return 0
