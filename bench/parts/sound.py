"""What sound costs in a media worker: CPU microseconds for each operation, best of several runs.

    python -m bench.parts.sound

An operation is a frame of 20 ms where nothing else is said. One core has 20,000 microseconds for each 20 ms.
"""

import gc
import tempfile
from itertools import count, cycle
from pathlib import Path
from time import process_time

import numpy as np

from pbx.media.codecs import CODECS, make_decoder, make_encoder
from pbx.media.digit_events import EventReceiver, plan_digit
from pbx.media.dtmf import Detector
from pbx.media.encoded import EncodedSound
from pbx.media.halfband import Doubler, Halver
from pbx.media.jitter import JitterBuffer
from pbx.media.mixer import add, mix
from pbx.media.playout import Playout
from pbx.media.samples import frame_size
from pbx.media.silence import SilenceDetector
from pbx.media.tones import make_tone
from pbx.media.wav import STEREO, WavWriter

N = 2_000
SECONDS = 4
TARGETS = {"jitter buffer: push and pop": 3.0}


def best(step, runs=5, n=N):
    """CPU microseconds of one `step`, in the best of `runs` runs."""
    took = []
    gc.collect()
    for _ in range(runs):
        start = process_time()
        for _ in range(n):
            step()
        took.append((process_time() - start) / n * 1e6)
    return min(took)


def voice(rate_hz):
    """Four seconds of harmonics in syllables, in frames."""
    at = np.arange(rate_hz * SECONDS) / rate_hz
    pitch = 2 * np.pi * 130 * (at + 0.02 * np.sin(5 * at))
    sound = sum(np.sin(number * pitch) / number for number in range(1, 25))
    sound = sound * (1 + np.sin(2 * np.pi * 3 * at)) + np.random.default_rng(1).normal(0, 0.02, len(at))
    samples = np.rint(9_000 * sound / np.abs(sound).max()).astype(np.int16)
    return list(samples.reshape(-1, frame_size(rate_hz)))


def show(what, cost_us, rest=""):
    missed = "  TARGET MISSED" if cost_us > TARGETS.get(what, cost_us) else ""
    print(f"{what:44} {cost_us:8.2f} us{rest}{missed}", flush=True)


def codecs():
    for name in CODECS:
        for rate_hz in (8_000, 16_000):
            frames = voice(rate_hz)
            encoder = make_encoder(name, rate_hz)
            payloads = [encoder.encode(frame) for frame in frames]
            some, coded = cycle(frames), cycle(payloads)
            show(f"{name} at {rate_hz} Hz: encode", best(lambda e=encoder, s=some: e.encode(next(s))))
            decoder = make_decoder(name, rate_hz)
            show(f"{name} at {rate_hz} Hz: decode", best(lambda d=decoder, c=coded: d.decode(next(c))))
            size = frame_size(rate_hz)

            def lose(decoder=decoder, coded=coded, size=size):
                decoder.decode(next(coded))
                decoder.conceal(size)

            show(f"{name} at {rate_hz} Hz: one in two lost, a pair", best(lose))
    narrow, wide = cycle(voice(8_000)), cycle(voice(16_000))
    doubler, halver = Doubler(), Halver()
    show("8,000 to 16,000 Hz", best(lambda: doubler.convert(next(narrow))))
    show("16,000 to 8,000 Hz", best(lambda: halver.convert(next(wide))))


def transcoding():
    """Packets through jitter buffer, decoder and encoder: both directions of a call, 50 times a second."""
    for a, b in (("PCMU", "PCMA"), ("PCMU", "G722"), ("PCMU", "OPUS"), ("G722", "OPUS")):
        cost_us = direction(a, b) + direction(b, a)
        show(f"{a} and {b}, both directions", cost_us, f"  {20_000 / cost_us:6.0f} calls a core")


def direction(source, target, rate_hz=8_000):
    encoder, playout = make_encoder(source, rate_hz), Playout(source, rate_hz)
    payloads = cycle([encoder.encode(frame) for frame in voice(rate_hz)])
    out, numbers, ticks = make_encoder(target, rate_hz), count(), CODECS[source].frame_ticks

    def step():
        number = next(numbers)
        playout.push(number & 0xFFFF, number * ticks & 0xFFFFFFFF, next(payloads), number / 50)
        out.encode(playout.frame(number / 50 + 0.01))

    return best(step)


def prompts():
    for name in ("PCMU", "G722", "OPUS"):
        rate_hz = CODECS[name].rate_hz
        sound = EncodedSound(np.concatenate(voice(rate_hz)), rate_hz, name)
        for number in range(sound.count):
            sound.frame(number)
        numbers = cycle(range(sound.count))
        show(
            f"frame of a prompt in {name}, encoded before", best(lambda s=sound, n=numbers: s.frame(next(n)))
        )


def streams():
    buffer, numbers, payload = JitterBuffer(8_000), count(), bytes(160)

    def step():
        number = next(numbers)
        buffer.push(number & 0xFFFF, number * 160 & 0xFFFFFFFF, payload, number / 50)
        buffer.pop(number / 50 + 0.01)

    show("jitter buffer: push and pop", best(step, n=10_000))
    frames = cycle(voice(8_000))
    tone = cycle(list(make_tone("ringback", "US", 8_000)[:8_000].reshape(-1, 160)))
    hush = np.zeros(160, np.int16)
    detector = Detector()
    show("digits in speech", best(lambda: detector.feed(next(frames))))
    show("digits in a tone", best(lambda: detector.feed(next(tone))))
    show("digits in silence", best(lambda: detector.feed(hush)))
    silence = SilenceDetector()
    show("end of speech", best(lambda: silence.feed(next(frames))))
    plan, presses = plan_digit("5", 100), count()

    def press():
        start = next(presses) * 8_000
        receiver = EventReceiver()
        for each in plan:
            receiver.receive(start, each.marker, each.payload, start / 8_000)

    show(f"RFC 4733 event packet of {len(plan)}", best(press) / len(plan))


def rooms():
    for people in (2, 3, 5, 10, 30, 100):
        for rate_hz in (8_000, 16_000):
            said = voice(rate_hz)
            frames = {who: said[who % len(said)] for who in range(people)}
            size = frame_size(rate_hz)
            show(f"room of {people} at {rate_hz} Hz", best(lambda f=frames, s=size: mix(f, f, s), n=500))
    one, two = voice(8_000)[:2]
    show("two added", best(lambda: add(one, two)))


def files():
    frames = cycle(voice(8_000))
    with tempfile.TemporaryDirectory() as folder:
        mono = WavWriter(Path(folder) / "mono.wav", 8_000)
        show("WAV, mono", best(lambda: mono.append(next(frames))))
        stereo = WavWriter(Path(folder) / "stereo.wav", 8_000, STEREO)
        show("WAV, stereo", best(lambda: stereo.append(next(frames), next(frames))))
        mono.close()
        stereo.close()


def main():
    gc.freeze()
    for part in (codecs, transcoding, prompts, streams, rooms, files):
        part()


if __name__ == "__main__":
    main()
