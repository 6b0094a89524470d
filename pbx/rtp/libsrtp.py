"""libsrtp by way of pylibsrtp's binding: one direction of one SRTP session.

pylibsrtp's own Session takes no more than 1500 bytes, knows no AES_256_CM, and costs half as much again for
each packet; so it only makes the session here, and the library is called with a buffer of ours.
"""

from collections.abc import Callable
from typing import Any, Final

import pylibsrtp
from pylibsrtp import Policy
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]  # a C extension, without stubs

from pbx.errors import MediaError
from pbx.rtp.packet import MAX_PACKET, MalformedPacketError

# Suite -> libsrtp's profile; AES_256_CM has none, so it starts from AES_CM_128 and changes the cipher.
_PROFILES: Final[dict[str, int]] = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AES_256_CM_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_256_CM_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
# The first two numbers of libsrtp's srtp_crypto_policy_t: cipher_type and cipher_key_len (key and salt).
_AES_CM_128: Final = (1, 30)
_AES_CM_256: Final = (5, 46)

_REPLAY_WINDOW: Final = 1024  # packets (RFC 3711 §3.3.2 asks for at least 64); one second and more of video
_TRAILER: Final = 164  # bytes, at the very most; libsrtp adds a tag at the end, and four bytes more to SRTCP
_REASONS: Final = {7: "not authentic", 9: "replayed", 10: "replayed, long ago", 11: "too old"}


class SrtpRefusedError(MalformedPacketError):
    """A packet that is forged, damaged, or replayed."""


class Session:
    """One key, one direction, any SSRC; a packet in, its other form out, or SrtpRefusedError."""

    __slots__ = ("_owner", "protect", "protect_rtcp", "unprotect", "unprotect_rtcp")

    def __init__(self, suite: str, key: bytes, *, is_inbound: bool) -> None:
        """`key` is master key and salt, of the length the suite needs."""
        ssrc_type = Policy.SSRC_ANY_INBOUND if is_inbound else Policy.SSRC_ANY_OUTBOUND
        policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=_PROFILES[suite])
        policy.window_size = _REPLAY_WINDOW
        if suite.startswith("AES_256_CM"):
            _use_aes_256(policy)
        self._owner = pylibsrtp.Session(policy)  # frees the session when it is itself freed
        buffer = ffi.new("char[]", MAX_PACKET + 2 * _TRAILER)
        handle = self._owner._srtp[0]
        self.protect = _process(lib.srtp_protect, handle, buffer)
        self.protect_rtcp = _process(lib.srtp_protect_rtcp, handle, buffer)
        self.unprotect = _process(lib.srtp_unprotect, handle, buffer)
        self.unprotect_rtcp = _process(lib.srtp_unprotect_rtcp, handle, buffer)


def _process(function: Any, handle: Any, buffer: Any) -> Callable[[bytes], bytes]:
    length = ffi.new("int *")
    view = ffi.buffer(buffer)

    def process(packet: bytes) -> bytes:
        size = len(packet)
        if size > MAX_PACKET + _TRAILER:
            raise SrtpRefusedError("packet is too long")
        view[0:size] = packet
        length[0] = size
        if code := function(handle, buffer, length):
            raise SrtpRefusedError(_REASONS.get(code, f"libsrtp says {code}"))
        opened: bytes = view[0 : length[0]]
        return opened

    return process


def _use_aes_256(policy: Policy) -> None:
    # pylibsrtp shows no fields of the crypto policy; libsrtp's public header fixes their order and type.
    for crypto in (policy._policy.rtp, policy._policy.rtcp):
        fields = ffi.cast("int *", ffi.addressof(crypto))
        if (fields[0], fields[1]) != _AES_CM_128:
            raise MediaError("this libsrtp has another policy layout: AES_256_CM cannot be used")
        fields[0], fields[1] = _AES_CM_256
