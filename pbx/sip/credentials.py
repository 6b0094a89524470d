"""Our credentials at a server: which challenges they answer, and when they give up (RFC 3261 §22)."""

from collections.abc import Callable, Iterable
from typing import Final

from pbx.sip.digest import ANSWERED, Challenge, answer, read_challenges
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response

# Status -> the header with its challenges, and the one that answers (RFC 3261 §22.2, §22.3).
HEADERS: Final = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}
MOST_ANSWERS: Final = 4  # to one request: a server that calls every nonce stale is left alone then

Answered = set[tuple[str, str, str]]  # header, realm, nonce


class Credentials:
    """A user name and its password, and the challenges that they have answered.

    One object for all requests of one Call-ID, of a dialog or a registration: each then carries at once
    what the last one was asked for (§22.3).

    Args:
        is_server: whether what is sent there may carry them, and challenges from there are answered.
    """

    __slots__ = ("_known", "_password", "is_server", "username")

    def __init__(
        self, username: str, password: str, is_server: Callable[[Flow], bool] = lambda _flow: True
    ) -> None:
        self.username = username
        self._password = password
        self.is_server = is_server
        # header, realm -> the last challenge, how often its nonce was used, and with which cnonce
        self._known: dict[tuple[str, str], tuple[Challenge, int, str]] = {}

    def __repr__(self) -> str:
        return f"<Credentials of {self.username}>"

    def take(self, response: Response, answered: Answered) -> bool:
        """Take the challenges of a 401 or 407.

        A realm that refuses what answered its challenge refuses the password, unless it says that its nonce
        was stale.

        Args:
            answered: what has been answered on behalf of the request so far; is added to.

        Returns:
            Whether it is worth while to send the request again, `authorize`d anew.
        """
        challenge_header, answer_header = HEADERS[response.status]
        chosen = _best(read_challenges(response.headers.get_all(challenge_header)))
        before = {(header, realm) for header, realm, _ in answered}
        for each in chosen:
            realm = (answer_header, each.realm)
            is_new = (*realm, each.nonce) not in answered
            if realm in before and not (each.is_stale and is_new):
                self._known.pop(realm, None)
                return False
        if not chosen or len(answered) + len(chosen) > MOST_ANSWERS:
            return False
        for each in chosen:
            answered.add((answer_header, each.realm, each.nonce))
            self._known[answer_header, each.realm] = (each, 0, "")
        return True

    def authorize(self, request: Request, cnonce: str) -> None:
        """Give `request` what answers each known challenge, instead of what it has (RFC 7616 §3.4)."""
        headers = request.headers
        for _, name in HEADERS.values():
            headers.remove(name)
        for (name, realm), (challenge, used, first) in self._known.items():
            word = first or cnonce
            self._known[name, realm] = (challenge, used + 1, word)
            value = answer(
                challenge,
                self.username,
                self._password,
                request.method,
                request.uri,
                nc=used + 1,
                cnonce=word,
                body=request.body,
            )
            headers.add(name, value)


def _best(challenges: Iterable[Challenge]) -> list[Challenge]:
    """One for each realm: the strongest algorithm, whatever comes first (RFC 8760 §2.4 leaves that to us)."""
    chosen: dict[str, Challenge] = {}
    for each in challenges:
        known = chosen.get(each.realm)
        if known is None or ANSWERED.index(each.algorithm) < ANSWERED.index(known.algorithm):
            chosen[each.realm] = each
    return list(chosen.values())
