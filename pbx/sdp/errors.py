"""What a session description can be refused with: 488 and a Warning (RFC 3261 §20.43, §21.4.26)."""

from typing import Final

from pbx.errors import PeerError

INCOMPATIBLE_NETWORK_PROTOCOL: Final = 300
INCOMPATIBLE_ADDRESS_FORMAT: Final = 301
INCOMPATIBLE_TRANSPORT: Final = 302
MEDIA_TYPE_NOT_AVAILABLE: Final = 304
INCOMPATIBLE_MEDIA_FORMAT: Final = 305
MULTICAST_NOT_AVAILABLE: Final = 330
MISCELLANEOUS: Final = 399


class SdpError(PeerError):
    """A session description that we cannot take; `warning` is the value for the Warning header."""

    def __init__(self, text: str, code: int = MISCELLANEOUS) -> None:
        super().__init__(488, "Not Acceptable Here")
        self.code = code
        # The text may quote what the peer wrote: keep it printable ASCII and short.
        self.text = text[:200].encode("ascii", "backslashreplace").decode("ascii")
        self.args = (f"488 Not Acceptable Here ({code} {self.text})",)

    def warning(self, agent: str) -> str:
        """The Warning header's value (RFC 3261 §20.43), `agent` being our host."""
        printable = "".join(c if " " <= c <= "~" else "?" for c in self.text)
        quoted = printable.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.code} {agent} "{quoted}"'
