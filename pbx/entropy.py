"""Chance, handed in: tags, branches, Call-IDs, nonces, keys."""

import random
from itertools import chain
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
        self._tokens = chain.from_iterable(iter(_make_tokens, None))

    def token(self) -> str:
        return next(self._tokens)

    def secret(self, length: int) -> bytes:
        return urandom(length)

    def below(self, limit: int) -> int:
        return int(self.token(), 16) * limit >> 64  # even to one part in 2**64 / limit


def _make_tokens() -> list[str]:
    return urandom(POOL_BYTES).hex(" ", 8).split()


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
