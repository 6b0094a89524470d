"""SRTP and SRTCP of one endpoint (RFC 3711, 6188, 7714), done by libsrtp."""

from typing import Any, Final, cast

from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi  # type: ignore[import-not-found]  # a C extension, without stubs

from pbx.errors import MediaError
from pbx.rtp.packet import MAX_PACKET, MalformedPacketError
from pbx.sdp.crypto import KEY_BYTES, SrtpKeys

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
_BUFFER_SIZE: Final = MAX_PACKET + 164  # libsrtp adds a tag at the end, and four bytes more to SRTCP


class SrtpRefusedError(MalformedPacketError):
    """A packet that is forged, damaged, or replayed."""


class Srtp:
    """Protects what goes to one peer and opens what comes from it, whatever the SSRC."""

    __slots__ = ("_inbound", "_outbound", "keys")

    def __init__(self, keys: SrtpKeys) -> None:
        """
        Raises:
            MediaError: unknown suite, or keys of the wrong length.
        """
        if KEY_BYTES.get(keys.suite) != len(keys.local) or len(keys.local) != len(keys.remote):
            raise MediaError(f"SRTP suite {keys.suite} cannot be used with keys of {len(keys.local)} bytes")
        self.keys = keys
        self._outbound = _session(keys.suite, keys.local, Policy.SSRC_ANY_OUTBOUND)
        self._inbound = _session(keys.suite, keys.remote, Policy.SSRC_ANY_INBOUND)

    def protect(self, packet: bytes) -> bytes:
        """RTP -> SRTP.

        Raises:
            SrtpRefusedError: the sequence number was sent before: its keystream must not be used twice.
        """
        return _checked(self._outbound.protect, packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """RTCP -> SRTCP; raises as `protect`."""
        return _checked(self._outbound.protect_rtcp, packet)

    def unprotect(self, packet: bytes) -> bytes:
        """SRTP -> RTP.

        Raises:
            SrtpRefusedError: the packet is none of the peer's, or came before.
        """
        return _checked(self._inbound.unprotect, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """SRTCP -> RTCP; raises as `unprotect`."""
        return _checked(self._inbound.unprotect_rtcp, packet)


def _checked(process: Any, packet: bytes) -> bytes:
    try:
        return cast(bytes, process(packet))
    except (Error, ValueError) as error:
        raise SrtpRefusedError(str(error)) from None


def _session(suite: str, key: bytes, ssrc_type: int) -> Session:
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=_PROFILES[suite])
    policy.window_size = _REPLAY_WINDOW
    if suite.startswith("AES_256_CM"):
        _use_aes_256(policy)
    session = Session(policy)
    # pylibsrtp's own buffer of 1500 bytes keeps 144 for the trailer, which is too little for video.
    session._cdata = ffi.new("char[]", _BUFFER_SIZE)
    session._buffer = ffi.buffer(session._cdata)
    return session


def _use_aes_256(policy: Policy) -> None:
    # pylibsrtp shows no fields of the crypto policy; libsrtp's public header fixes their order and type.
    for crypto in (policy._policy.rtp, policy._policy.rtcp):
        fields = ffi.cast("int *", ffi.addressof(crypto))
        if (fields[0], fields[1]) != _AES_CM_128:
            raise MediaError("this libsrtp has another policy layout: AES_256_CM cannot be used")
        fields[0], fields[1] = _AES_CM_256
