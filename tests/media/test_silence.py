import numpy as np
import pytest

from pbx.media.samples import to_samples
from pbx.media.silence import FLOOR_DBFS, SilenceDetector, level_dbfs
from tests.support.sound import frames, tone
from tests.support.speech import speak

TEXT = (
    "Hello, this is Mary from the warehouse. ... I am calling about the order of last week; please call me. "
    "My number is six five, nine eight seven six, five four three two. Thank you. ... ... Goodbye!"
)


def noise(seconds, dbfs, seed=1):
    return np.random.default_rng(seed).normal(0, 32_768 * 10 ** (dbfs / 20), round(seconds * 8_000))


def message(noise_dbfs, speech_dbfs, after_s=12.0, before_s=0.0):
    """Speech in noise and then noise alone; where the speech ends."""
    speech = speak(TEXT).astype(float)
    speech *= 10 ** (speech_dbfs / 20) * 32_768 / np.sqrt(np.mean(speech[speech != 0] ** 2))
    speech = speech[: np.flatnonzero(np.abs(speech) > 100)[-1]]
    sound = np.concatenate((np.zeros(round(before_s * 8_000)), speech, np.zeros(round(after_s * 8_000))))
    return to_samples(sound + noise(len(sound) / 8_000, noise_dbfs)[: len(sound)]), before_s + len(
        speech
    ) / 8_000


def ends_at(samples, after_s=5.0):
    detector = SilenceDetector()
    for number, each in enumerate(frames(samples, 160), start=1):
        if detector.feed(each) >= after_s:
            return number * 0.02
    return None


CASES = {
    "a quiet room": (-75, -26),
    "an office": (-55, -26),
    "a loud office": (-45, -24),
    "a faint voice": (-70, -40),
    "a faint voice in some noise": (-58, -36),
    "a loud voice": (-60, -14),
}


@pytest.mark.parametrize(("noise_dbfs", "speech_dbfs"), CASES.values(), ids=CASES)
def test_a_message_ends_after_its_speech_not_within(noise_dbfs, speech_dbfs):
    samples, end = message(noise_dbfs, speech_dbfs)
    assert ends_at(samples) == pytest.approx(end + 5, abs=1.0)


def test_who_says_nothing_is_silent_from_the_start():
    assert ends_at(np.zeros(80_000, np.int16)) == pytest.approx(5)
    assert ends_at(to_samples(noise(10, -55))) == pytest.approx(5)


def test_steady_noise_becomes_silence():
    """A fan at -40 dBFS: it takes seven seconds until it is taken for noise."""
    assert ends_at(to_samples(noise(20, -40))) == pytest.approx(11, abs=2.5)


def test_clicks_do_not_count():
    samples = np.zeros(80_000, np.int16)
    samples[::8_000] = 30_000
    assert ends_at(samples) == pytest.approx(5)


def test_level():
    assert level_dbfs(tone(440, 8_000, 0.02, 32_767)) == pytest.approx(-3, abs=0.2)
    assert level_dbfs(np.full(160, -32_768, np.int16)) == pytest.approx(0)
    assert level_dbfs(np.zeros(160, np.int16)) == FLOOR_DBFS
    assert level_dbfs(np.zeros(0, np.int16)) == FLOOR_DBFS
