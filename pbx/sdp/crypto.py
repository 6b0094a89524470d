"""Keys for SRTP in the description itself: the crypto attribute (RFC 4568; suites of RFC 6188, RFC 7714)."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pbx.entropy import Entropy
from pbx.sdp.session import parse_number

# Suite -> bytes of master key and master salt together.
KEY_BYTES: Final[dict[str, int]] = {
    "AES_CM_128_HMAC_SHA1_80": 16 + 14,
    "AES_CM_128_HMAC_SHA1_32": 16 + 14,
    "AES_256_CM_HMAC_SHA1_80": 32 + 14,
    "AES_256_CM_HMAC_SHA1_32": 32 + 14,
    "AEAD_AES_128_GCM": 16 + 12,
    "AEAD_AES_256_GCM": 32 + 12,
}
# What we offer, in our order: the one that every phone has comes first.
OFFERED_SUITES: Final = (
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
    "AES_256_CM_HMAC_SHA1_80",
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
)


@dataclass(frozen=True, slots=True)
class CryptoAttribute:
    """One usable a=crypto line; `key` is master key and salt together, never shown."""

    tag: int
    suite: str
    key: bytes = field(repr=False)

    def render(self) -> str:
        return f"crypto:{self.tag} {self.suite} inline:{b64encode(self.key).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What the media worker needs: the suite, the key+salt we send with, the key+salt the peer sends with."""

    suite: str
    local: bytes = field(repr=False)
    remote: bytes = field(repr=False)

    def key_of(self, kind: str) -> tuple[str, bytes]:
        """Suite and key of what the peer sends ("in"), or of all else, which we send."""
        return self.suite, self.remote if kind == "in" else self.local


def parse_crypto(value: str) -> CryptoAttribute | None:
    """Read an attribute's value; None for what we cannot use: broken, unknown suite, MKI, session parameters.

    A lifetime is tolerated, and so are WSH and unknown parameters that begin with "-", which may be ignored
    (RFC 4568 §6.3.6, §6.3.7).
    """
    words = value.split()
    if len(words) < 3:
        return None
    tag = parse_number(words[0], 999_999_999)
    suite = words[1].upper()
    if tag is None or suite not in KEY_BYTES:
        return None
    if any(not word.startswith(("WSH=", "-")) for word in words[3:]):
        return None
    key = _parse_key(words[2], KEY_BYTES[suite])
    return None if key is None else CryptoAttribute(tag, suite, key)


def _parse_key(text: str, length: int) -> bytes | None:
    method, _, info = text.partition(":")
    if method.lower() != "inline" or ";" in info:  # several keys need an MKI
        return None
    encoded, *rest = info.split("|")
    if len(rest) > 1 or any(":" in word for word in rest):  # "MKI:length"
        return None
    try:
        key = b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4), validate=True)
    except ValueError:
        return None
    return key if len(key) == length else None


def read_crypto(values: Iterable[str]) -> tuple[CryptoAttribute, ...]:
    """The usable ones of a media line's crypto attributes, in its order; of a repeated tag the first."""
    found: dict[int, CryptoAttribute] = {}
    for value in values:
        crypto = parse_crypto(value)
        if crypto is not None:
            found.setdefault(crypto.tag, crypto)
    return tuple(found.values())


def make_offer(entropy: Entropy, suites: Sequence[str] = OFFERED_SUITES) -> tuple[CryptoAttribute, ...]:
    """A fresh key for each suite, tags counting from 1."""
    return tuple(
        [CryptoAttribute(tag, suite, entropy.secret(KEY_BYTES[suite])) for tag, suite in enumerate(suites, 1)]
    )


def choose(
    offered: Sequence[CryptoAttribute], entropy: Entropy, current: SrtpKeys | None = None
) -> tuple[CryptoAttribute, SrtpKeys] | None:
    """Answer an offer: the first line we can use, its tag with our key (RFC 4568 §5.1.2).

    Args:
        offered: the usable lines, in the offer's order.
        current: the keys in force; ours is kept while the suite stays, so that nothing restarts.

    Returns:
        Our line for the answer and the keys it makes, or None when nothing is offered.
    """
    if not offered:
        return None
    chosen = offered[0]
    if current is not None and current.suite == chosen.suite:
        local = current.local
    else:
        local = entropy.secret(KEY_BYTES[chosen.suite])
    return CryptoAttribute(chosen.tag, chosen.suite, local), SrtpKeys(chosen.suite, local, chosen.key)


def accept(
    offered: Sequence[CryptoAttribute], answered: Sequence[CryptoAttribute]
) -> tuple[CryptoAttribute, SrtpKeys] | None:
    """Take an answer: its line must repeat tag and suite of one we offered (RFC 4568 §5.1.3)."""
    for answer in answered:
        for offer in offered:
            if offer.tag == answer.tag and offer.suite == answer.suite:
                return offer, SrtpKeys(offer.suite, offer.key, answer.key)
    return None
