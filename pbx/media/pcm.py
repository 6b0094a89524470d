"""Operations on 16-bit samples in C: those of Python's audioop, by far the quickest on 20 ms.

They take and give bytes, or anything contiguous in memory; the last argument is the sample width, 2.
"""

import warnings

with warnings.catch_warnings():
    # Python 3.11 and 3.12 announce that it leaves the standard library; from 3.13 on audioop-lts has it.
    warnings.simplefilter("ignore", DeprecationWarning)
    from audioop import add, alaw2lin, lin2alaw, lin2ulaw, rms, ulaw2lin

__all__ = ["add", "alaw2lin", "lin2alaw", "lin2ulaw", "rms", "ulaw2lin"]
