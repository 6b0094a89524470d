import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from pbx.errors import UsageError
from pbx.media.wav import STEREO, WavError, WavWriter
from pbx.store.sound_files import repair
from tests.support.full_disk import full_disk
from tests.support.sound import frames, tone


def play(path):
    return soundfile.read(path, dtype="int16", always_2d=True)


def test_mono(tmp_path):
    sent = tone(440, 8_000, 2.5)
    writer = WavWriter(tmp_path / "a.wav", 8_000)
    for each in frames(sent, 160):
        writer.append(each)
    writer.close()
    writer.close()
    heard, rate_hz = play(tmp_path / "a.wav")
    assert rate_hz == 8_000
    assert np.array_equal(heard[:, 0], sent)
    assert repair(tmp_path / "a.wav") == 2.5


def test_stereo_has_a_leg_on_each_side(tmp_path):
    left, right = tone(440, 16_000, 1.2), tone(1000, 16_000, 1.2)
    writer = WavWriter(tmp_path / "a.wav", 16_000, STEREO)
    for pair in zip(frames(left, 320), frames(right, 320), strict=True):
        writer.append(*pair)
    writer.close()
    heard, _ = play(tmp_path / "a.wav")
    assert np.array_equal(heard, np.column_stack((left, right)))


def test_it_plays_while_it_grows(tmp_path):
    sent = tone(440, 8_000, 3.5)
    writer = WavWriter(tmp_path / "a.wav", 8_000)
    for number, each in enumerate(frames(sent, 160), start=1):
        writer.append(each)
        heard, _ = play(tmp_path / "a.wav")
        assert np.array_equal(heard[:, 0], sent[: number // 50 * 8_000])
    writer.close()


SCRIPT = """
import os, signal, sys
from pathlib import Path
import numpy as np
from pbx.media.wav import WavWriter
writer = WavWriter(Path(sys.argv[1]), 8000)
for number in range(125):
    writer.append(np.full(160, number, np.int16))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_at_any_moment_the_flushed_seconds_play(tmp_path):
    path = tmp_path / "a.wav"
    ended = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert len(play(path)[0]) == 16_000
    assert repair(path) == 2.0


def test_misuse(tmp_path):
    writer = WavWriter(tmp_path / "a.wav", 8_000, STEREO)
    some = np.zeros(160, np.int16)
    with pytest.raises(UsageError, match="2 channels"):
        writer.append(some)
    with pytest.raises(UsageError, match="80 on the right"):
        writer.append(some, some[:80])
    with pytest.raises(WavError, match="exists"):
        WavWriter(tmp_path / "a.wav", 8_000)
    writer.close()
    with pytest.raises(UsageError, match="closed"):
        writer.append(some, some)


def test_a_full_disk_is_told(tmp_path):
    writer = WavWriter(tmp_path / "a.wav", 8_000)
    readable = os.open(tmp_path / "a.wav", os.O_RDONLY)
    os.dup2(readable, writer._fd)
    os.close(readable)
    with pytest.raises(WavError, match="Bad file descriptor"):
        writer.append(np.zeros(8_000, np.int16))
    with pytest.raises(WavError, match="Bad file descriptor"):
        writer.close()
    writer.close()


def test_a_file_whose_header_does_not_fit_on_the_disk_is_closed(tmp_path):
    opened = len(os.listdir("/proc/self/fd"))
    with full_disk(), pytest.raises(WavError, match="File too large"):
        WavWriter(tmp_path / "a.wav", 8_000)
    assert len(os.listdir("/proc/self/fd")) == opened
