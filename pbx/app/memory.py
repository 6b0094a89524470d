"""What the threads of the server free goes back to the system."""

import ctypes
from typing import Final

M_MMAP_THRESHOLD: Final = -3  # as malloc.h has it
LARGE: Final = 1 << 20


def return_large_blocks() -> None:
    """Give blocks of a megabyte and more back as soon as they are free.

    A hash of a PIN takes 16 MiB (store/passwords), in any thread of the pool. glibc gets used to blocks of
    such a size, up to 32 MiB (mallopt(3)), and from then on each thread keeps its own. Other C libraries
    have neither that habit nor this switch.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)
