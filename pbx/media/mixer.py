"""A room: each hears all others (N-1), in one numpy operation a frame."""

from collections.abc import Collection, Mapping
from typing import Final, TypeVar

import numpy as np

from pbx.media import pcm
from pbx.media.samples import Samples

Key = TypeVar("Key")
LOWEST: Final = -32_768
HIGHEST: Final = 32_767


def mix(frames: Mapping[Key, Samples], listeners: Collection[Key], size: int) -> dict[Key, Samples]:
    """What each listener hears in 20 ms.

    Args:
        frames: who is heard, and what each says: `size` samples, at one rate. Leave out who is muted, and,
            for it costs less, who is silent.
        listeners: who hears. One that speaks too does not hear itself.
        size: samples in a frame.

    Returns:
        A frame for each listener, kept within 16 bits. Frames are shared: nobody may write into them.
    """
    if not frames:
        nothing: Samples = np.zeros(size, np.int16)
        return dict.fromkeys(listeners, nothing)
    if len(frames) <= 2:
        return _mix_few(frames, listeners, size)
    rows = np.concatenate(list(frames.values())).reshape(len(frames), size).astype(np.int32)
    total = np.add.reduce(rows, 0)
    np.subtract(total, rows, out=rows)
    others = np.clip(rows, LOWEST, HIGHEST, out=rows).astype(np.int16)
    heard = dict(zip(frames, others, strict=True))
    if heard.keys() == set(listeners):
        return heard
    everything: Samples = np.clip(total, LOWEST, HIGHEST).astype(np.int16)
    return {key: heard.get(key, everything) for key in listeners}


def _mix_few(frames: Mapping[Key, Samples], listeners: Collection[Key], size: int) -> dict[Key, Samples]:
    """One or two who speak: they hear each other as it is, and all else one sum."""
    speakers = list(frames)
    first = frames[speakers[0]]
    if len(speakers) == 1:
        heard = {speakers[0]: np.zeros(size, np.int16)}
        everything = first
    else:
        second = frames[speakers[1]]
        heard = {speakers[0]: second, speakers[1]: first}
        everything = first if len(listeners) == 2 and set(listeners) == set(speakers) else add(first, second)
    return {key: heard.get(key, everything) for key in listeners}


def add(one: Samples, other: Samples) -> Samples:
    """The sum of two frames of one length, kept within 16 bits: such as of both sides of a call."""
    return np.frombuffer(pcm.add(one.tobytes(), other.tobytes(), 2), np.int16)
