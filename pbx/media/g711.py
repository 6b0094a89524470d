"""From one law of G.711 to the other without decoding: tables for bytes.translate (ITU-T G.711)."""

from typing import Final

from pbx.media.pcm import alaw2lin, lin2alaw, lin2ulaw, ulaw2lin

_EVERY: Final = bytes(range(256))

ULAW_TO_ALAW: Final[bytes] = lin2alaw(ulaw2lin(_EVERY, 2), 2)
ALAW_TO_ULAW: Final[bytes] = lin2ulaw(alaw2lin(_EVERY, 2), 2)
