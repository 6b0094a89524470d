"""Hashes of member passwords, PINs and passcodes by a memory-hard function (scrypt, RFC 7914)."""

import base64
import hashlib
import hmac
import secrets

N, R, P = 2**14, 8, 1  # 16 MiB and some 50 ms a guess
SALT_BYTES, KEY_BYTES = 16, 32
MEMORY = 64 * 2**20


class Passwords:
    """Hashes as `scrypt$n$r$p$salt$key`, the last two in base64. Costs may change, old hashes stay valid."""

    def __init__(self, n: int = N) -> None:
        self._n = n

    def hash(self, text: str, like: str = "") -> str:
        """The hash of `text`.

        Args:
            text: any text; it is taken as UTF-8.
            like: a stored hash whose salt and costs are used again, so that equal texts have equal hashes;
                "" = a new salt.

        Raises:
            ValueError: `like` is no hash of ours.
        """
        if like:
            n, r, p, salt, _ = _split(like)
        else:
            n, r, p, salt = self._n, R, P, secrets.token_bytes(SALT_BYTES)
        key = hashlib.scrypt(text.encode(), salt=salt, n=n, r=r, p=p, maxmem=MEMORY, dklen=KEY_BYTES)
        return "$".join(("scrypt", str(n), str(r), str(p), _encode(salt), _encode(key)))

    def verify(self, text: str, stored: str) -> bool:
        """Whether `stored` is a hash of `text`; False for "" and for what is no hash."""
        try:
            return (
                hmac.compare_digest(self.hash(text, like=stored).encode(), stored.encode())
                if stored
                else False
            )
        except ValueError:
            return False


def _split(stored: str) -> tuple[int, int, int, bytes, bytes]:
    name, n, r, p, salt, key = stored.split("$")
    if name != "scrypt":
        raise ValueError(f"no scrypt hash: {name}")
    return int(n), int(r), int(p), base64.b64decode(salt, validate=True), base64.b64decode(key, validate=True)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
