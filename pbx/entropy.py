"""Chance, handed in: tags, branches, Call-IDs, nonces, keys."""

import random
from os import urandom  # what `secrets` uses too; that loads OpenSSL, which media workers go without
from typing import Final, Protocol

POOL_BYTES: Final = 4096


class Entropy(Protocol):
    """A source of unpredictable values."""

    def token(self) -> str:
        """A word for tags, branches and Call-IDs: 16 hexadecimal digits (RFC 3261 §19.3 asks for 32 bits)."""
        ...

    def secret(self, length: int) -> bytes:
        """`length` bytes fit for keys."""
        ...

    def below(self, limit: int) -> int:
        """An integer in [0, limit)."""
        ...


class SystemEntropy:
    """The operating system's generator. Tokens are cut from a pool of its bytes: they cost no call each."""

    def __init__(self) -> None:
        self._pool = ""
        self._at = 0

    def token(self) -> str:
        at = self._at
        if at >= len(self._pool):
            self._pool, at = urandom(POOL_BYTES).hex(), 0
        self._at = at + 16
        return self._pool[at : at + 16]

    def secret(self, length: int) -> bytes:
        return urandom(length)

    def below(self, limit: int) -> int:
        return int(self.token(), 16) * limit >> 64  # even to one part in 2**64 / limit


class SeededEntropy:
    """The same values each time, for tests."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)  # noqa: S311

    def token(self) -> str:
        return f"{self._random.getrandbits(64):016x}"

    def secret(self, length: int) -> bytes:
        return self._random.randbytes(length)

    def below(self, limit: int) -> int:
        return self._random.randrange(limit)
