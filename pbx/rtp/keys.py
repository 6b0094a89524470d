"""The SRTP keys of one media line, as SDES agreed on them (RFC 4568)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """One suite and a master key + salt each way; `repr` hides both.

    Attributes:
        suite: the crypto suite's name as in a=crypto, such as "AES_CM_128_HMAC_SHA1_80".
        local: key and salt, concatenated, that protect what we send (our own a=crypto).
        remote: key and salt that protect what the peer sends.
    """

    suite: str
    local: bytes = field(repr=False)
    remote: bytes = field(repr=False)
