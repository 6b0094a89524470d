"""When somebody has stopped to speak: for messages that end themselves."""

from math import log10
from typing import Final

from pbx.media.pcm import rms
from pbx.media.samples import FRAME_MS, Samples

FLOOR_DBFS: Final = -70.0
QUIET_DBFS: Final = -50.0  # silence is below that, whatever the noise
LOUD_DBFS: Final = -32.0  # and above that nothing is
OVER_NOISE_DB: Final = 9.0  # speech is so far above the noise
NOISE_RISE_DB: Final = 0.03  # a frame: what lasts for many seconds becomes noise
SPEECH_FRAMES: Final = 3  # 60 ms in a row, or it was a click
FRAME_S: Final = FRAME_MS / 1000


def level_dbfs(frame: Samples) -> float:
    """RMS of a frame in dB below a full-scale square wave, -70 at least."""
    return max(20 * log10(max(rms(frame.tobytes(), 2), 1) / 32_768), FLOOR_DBFS)


class SilenceDetector:
    """Follows the level of one stream, frame by frame.

    The noise is the lowest level of late: it falls at once and rises by 1.5 dB a second. A frame is speech
    when it is 9 dB louder than the noise; below -50 dBFS never, above -32 dBFS always. Three in a row
    end the silence, so that a click does not. Pauses between words do not matter, for silence is counted from
    the last speech on.

    Attributes:
        level_dbfs: of the last frame.
        noise_dbfs: as taken for the room's.
    """

    __slots__ = ("_run", "_silent", "level_dbfs", "noise_dbfs")

    def __init__(self) -> None:
        self._silent = self._run = 0
        self.level_dbfs = FLOOR_DBFS
        self.noise_dbfs = QUIET_DBFS - OVER_NOISE_DB

    @property
    def silent_s(self) -> float:
        """How long nobody has spoken until now."""
        return self._silent * FRAME_S

    def feed(self, frame: Samples) -> float:
        """Take 20 ms; how long it has been silent."""
        level = self.level_dbfs = level_dbfs(frame)
        threshold = min(max(self.noise_dbfs + OVER_NOISE_DB, QUIET_DBFS), LOUD_DBFS)
        self.noise_dbfs = (
            min(level, self.noise_dbfs + NOISE_RISE_DB) if level > FLOOR_DBFS else self.noise_dbfs
        )
        self._silent += 1
        if level <= threshold:
            self._run = 0
            return self.silent_s
        self._run += 1
        if self._run >= SPEECH_FRAMES:
            self._silent = 0
        return self.silent_s
