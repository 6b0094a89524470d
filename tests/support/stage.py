"""A studio whose endpoints are on sockets that only pretend, whose clock is turned by hand."""

from random import Random

import numpy as np

from pbx.media.codecs import CODECS, make_decoder, make_encoder
from pbx.media.samples import frame_size
from pbx.media.studio import Studio
from pbx.rtp.packet import Packet, unpack
from pbx.rtp.relay import Endpoint
from pbx.rtp.remote import Remote
from tests.rtp.test_relay import FakeNet

FRAME_S = 0.02
EVENTS = 101
TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9, "OPUS": 111}
OURS = "192.0.2.9"


def remote(port, *names, events=EVENTS, **more):
    """A peer that takes and sends these codecs, the best first."""
    chosen = tuple((TYPES[name], name) for name in names)
    clocks = tuple((TYPES[name], CODECS[name].clock_hz) for name in names)
    if events is not None:
        clocks += ((events, clocks[0][1]),)
    agreed = {"codecs": chosen, "heard_codecs": chosen, "clock_rates": clocks, "telephone_event": events}
    return Remote(("192.0.2.1", port), **{**agreed, **more})


class Writer:
    """A recording in memory."""

    def __init__(self, path, rate_hz, channels):
        self.path, self.rate_hz, self.channels = path, rate_hz, channels
        self.blocks, self.is_closed, self.trouble = [], False, ""

    def append(self, samples, right):
        assert (right is not None) == (self.channels == 2)
        assert right is None or len(right) == len(samples)
        self.blocks.append((samples, right))

    def close(self, done):
        assert not self.is_closed
        self.is_closed = True
        done(self.trouble)

    def side(self, at=0):
        return np.concatenate([np.zeros(0, np.int16), *(block[at] for block in self.blocks)])

    @property
    def seconds(self):
        return len(self.side()) / self.rate_hz


class Files:
    """Those of all recordings."""

    def __init__(self):
        self.made = []

    def open(self, path, rate_hz, channels):
        self.made.append(Writer(path, rate_hz, channels))
        return self.made[-1]

    def stop(self):
        pass


class Phone:
    """What one peer says and hears."""

    def __init__(self, stage, name, codec, port, ssrc):
        self.stage, self.name, self.port, self.ssrc = stage, name, port, ssrc
        self.sequence, self.timestamp = 100, 10_000
        self.use(codec)

    def use(self, codec):
        self.codec = codec
        self.encoder = make_encoder(codec, CODECS[codec].rate_hz)

    def say(self, samples, payload_type=None):
        """20 ms, at the rate that suits the codec."""
        payload = self.encoder.encode(samples)
        self.send(payload, TYPES[self.codec] if payload_type is None else payload_type)
        self.timestamp += CODECS[self.codec].frame_ticks

    def send(self, payload, payload_type, marker=False):
        self.sequence += 1
        packet = Packet(payload_type, self.sequence & 0xFFFF, self.timestamp, self.ssrc, payload, marker)
        self.stage.net.arrive(self.port, ("192.0.2.1", self.port), packet.pack(), now=self.stage.now)

    @property
    def packets(self):
        """All that it was sent."""
        return [unpack(data) for data, _ in self.stage.net.sent(self.port)]

    def heard(self, codec=None, since=0):
        """What its packets sound like at the codec's rate, pauses left out."""
        name = codec or self.codec
        decoder = make_decoder(name, CODECS[name].rate_hz)
        found = [each for each in self.packets[since:] if each.payload_type == TYPES[name]]
        return np.concatenate([np.zeros(0, np.int16), *(decoder.decode(each.payload) for each in found)])


class Stage:
    """The studio, the endpoints, and the phones behind them."""

    def __init__(self):
        self.net, self.files, self.events, self.failed, self.latches = FakeNet(), Files(), [], [], []
        self.endpoints, self.phones = {}, {}
        self.now, self.due = 100.0, float("inf")
        self.studio = Studio(
            self.endpoints, self.events.append, self._beat, self._failed, lambda: self.files, Random(1)
        )

    def open(self, name, *codecs, **more):
        codecs = codecs or ("PCMU",)
        port = 10_000 + 2 * len(self.phones)
        self.endpoints[name] = Endpoint(name, OURS, port, self.net, self)
        self.phones[name] = Phone(self, name, codecs[0], port, 1000 + len(self.phones))
        self.agree(name, *codecs, **more)
        return self.phones[name]

    def agree(self, name, *codecs, **more):
        endpoint = self.endpoints[name]
        endpoint.set_remote(remote(self.phones[name].port, *codecs, **more), self.now)
        self.studio.changed(endpoint)

    def join(self, a, b):
        first, second = self.endpoints[a], self.endpoints[b]
        before = (first.peer, second.peer)
        first.join(second, self.now)
        for endpoint in (first, second, *before):
            self.studio.joined(endpoint)

    def part(self, a):
        endpoint, peer = self.endpoints[a], self.endpoints[a].peer
        endpoint.part()
        for each in (endpoint, peer):
            self.studio.joined(each)

    def close(self, name):
        endpoint = self.endpoints.pop(name, None)
        if endpoint is not None:
            self.studio.closed(name)
            endpoint.close()

    def order(self, *orders):
        for order in orders:
            self.studio.perform(order, self.now)

    def run(self, seconds=FRAME_S, **said):
        """Let time pass; `said`: samples, by who says them, at the rate that suits his codec."""
        for at in range(round(seconds / FRAME_S)):
            for name, samples in said.items():
                size = frame_size(CODECS[self.phones[name].codec].rate_hz)
                frame = samples[at * size : (at + 1) * size]
                if len(frame) == size:
                    self.phones[name].say(frame)
            for _ in range(4):
                self.pass_time()

    def pass_time(self):
        """5 ms."""
        if self.due <= self.now + 1e-6:
            self.due = self.studio.tick(self.now + 1e-6)
        self.now = round(self.now + FRAME_S / 4, 6)

    def take(self, kind):
        """The events of a kind until now; they are forgotten then."""
        found = [event for event in self.events if isinstance(event, kind)]
        self.events[:] = [event for event in self.events if not isinstance(event, kind)]
        return found

    def is_ticking(self, name):
        return name in self.studio._voices

    # What the studio and the endpoints ask for.

    def _beat(self, at):
        self.due = min(self.due, at)

    def _failed(self, name, error):
        self.failed.append((name, error))
        self.close(name)

    def latched(self, endpoint, source):
        self.latches.append((endpoint.name, source))

    def counted(self, *_):
        pass

    def signalled(self, endpoint, packet, now):
        self.studio.signalled(endpoint, packet, now)


def write_sound(folder, samples, name="sound", narrow=None):
    """A rendered sound of these samples at 16,000 Hz; its stem."""
    stem = folder / name
    (folder / f"{name}-16000.pcm").write_bytes(samples.astype("<i2").tobytes())
    narrow = samples[::2] if narrow is None else narrow
    (folder / f"{name}-8000.pcm").write_bytes(narrow.astype("<i2").tobytes())
    return str(stem)
