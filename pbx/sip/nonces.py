"""Nonces of digest authentication: whom they are for, and which counts were used (RFC 7616 §3.3, §5.4)."""

from array import array
from enum import Enum
from hashlib import blake2s, sha256
from hmac import compare_digest
from typing import Final

from pbx.errors import UsageError

WINDOW: Final = 64  # how far behind the highest count of its nonce a request may come in
_WINDOW_MASK: Final = (1 << WINDOW) - 1
_STAMP: Final = 22  # characters of a nonce before its code: 10 of milliseconds, 12 of its number
_LENGTH: Final = _STAMP + 32

Use = Enum("Use", "NEW REPLAY FORGOTTEN")


class Nonces:
    """Makes nonces, and lets each count of each be used once.

    A nonce is a time stamp, a number and a keyed hash (BLAKE2s, RFC 7693 §2.9) over both, the realm and the
    client. So nothing is kept for a challenge. The first use of a nonce takes the place that its number has
    in a ring, from whichever older one was there: that one is forgotten, and good for nothing then. Places
    are machine words, no objects: objects that live for minutes among others that live for milliseconds
    keep whole pages of memory.
    """

    def __init__(self, realm: str, secret: bytes, life_s: float, capacity: int) -> None:
        """Make none yet.

        Args:
            realm: of the challenges; a nonce of one realm is none of another.
            secret: at least 16 unpredictable bytes, fresh in every run.
            life_s: how long a nonce is good for, in seconds.
            capacity: places in the ring, 32 bytes each.

        Raises:
            UsageError: a short secret.
        """
        if len(secret) < 16:
            raise UsageError("the secret of nonces needs 16 bytes")
        self._key = sha256(secret).digest()
        self._suffix = f"\0{realm}\0"
        self._life = life_s
        self._capacity = capacity
        self._made = 0
        zeros = bytes(8 * capacity)
        self._numbers = array("Q", zeros)  # whose place it is: 0, nobody's
        self._highest = array("Q", zeros)  # count
        self._seen = array("Q", zeros)  # a bit for each of the WINDOW counts up to the highest

    def make(self, now: float, client: str) -> str:
        """A nonce that nobody had before, good from `now` (monotonic seconds) on for `client` only."""
        self._made += 1
        stamp = f"{int(now * 1000) & 0xFFFFFFFFFF:010x}{self._made:012x}"
        return stamp + self._code(stamp, client)

    def read(self, nonce: str, client: str) -> tuple[int, float] | None:
        """The number of a nonce that we made for `client` and when it expires; None for any other."""
        stamp = nonce[:_STAMP]
        if len(nonce) != _LENGTH or not nonce.isascii():
            return None
        if not compare_digest(nonce[_STAMP:], self._code(stamp, client)):
            return None
        return int(stamp[10:], 16), int(stamp[:10], 16) / 1000 + self._life

    def use(self, number: int, count: int) -> Use:
        """Note that a nonce is used for the `count`th time; whether that is new."""
        place = number % self._capacity
        owner = self._numbers[place]
        if owner != number:
            if owner > number:
                return Use.FORGOTTEN
            self._numbers[place], self._highest[place], self._seen[place] = number, count, 1
            return Use.NEW
        ahead = count - self._highest[place]
        if ahead > 0:
            seen = self._seen[place] << ahead if ahead < WINDOW else 0
            self._seen[place] = seen & _WINDOW_MASK | 1
            self._highest[place] = count
            return Use.NEW
        bit = 1 << -ahead if ahead > -WINDOW else 0
        if not bit or self._seen[place] & bit:
            return Use.REPLAY
        self._seen[place] |= bit
        return Use.NEW

    def _code(self, stamp: str, client: str) -> str:
        text = stamp + self._suffix + client
        return blake2s(text.encode("utf-8", "surrogateescape"), key=self._key, digest_size=16).hexdigest()
