"""G.711 in the standard library's C (ITU-T G.711): µ-law and A-law."""

import warnings
from typing import Final

with warnings.catch_warnings():
    # Python 3.11 and 3.12 announce that it leaves the standard library; from 3.13 on audioop-lts has it.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

from audioop import alaw2lin, lin2alaw, lin2ulaw, ulaw2lin

__all__ = ["ALAW_TO_ULAW", "ULAW_TO_ALAW", "alaw2lin", "lin2alaw", "lin2ulaw", "ulaw2lin"]

_EVERY: Final = bytes(range(256))

# For bytes.translate: a payload of one law becomes the other's without being decoded.
ULAW_TO_ALAW: Final[bytes] = audioop.lin2alaw(audioop.ulaw2lin(_EVERY, 2), 2)
ALAW_TO_ULAW: Final[bytes] = audioop.lin2ulaw(audioop.alaw2lin(_EVERY, 2), 2)
