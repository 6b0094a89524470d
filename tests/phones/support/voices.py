"""What the PBX says to a phone, and keeps of what a phone says: questions about one server."""

from pathlib import Path
from typing import Final

import numpy as np

from pbx.call.phrases import Phrases
from pbx.media.prompt import Prompt
from pbx.media.rendering import Renderer
from tests.phones.support.phone import Phone, PhoneCall
from tests.phones.support.server import PbxServer
from tests.phones.support.sound import contains
from tests.phones.support.waiting import PATIENCE_S, wait_until
from tests.support.words import words

PHRASES: Final = Phrases("en", country="SG")


def dial(phone: Phone, number: str) -> PhoneCall:
    """A call that the PBX has answered."""
    call = phone.dial(number)
    phone.wait_established(call)
    return call


def messages(server: PbxServer, box: str) -> list[Path]:
    """The files of a mailbox."""
    folder = server.folder / "data" / "voicemail" / box
    return sorted(path for path in folder.glob("*.wav") if path.name != "greeting.wav")


def is_recording(server: PbxServer, box: str, seconds: float = 3.0) -> bool:
    """So much of a message or greeting has been written."""
    parts = list((server.folder / "data" / "voicemail" / box).glob("*.part"))
    return bool(parts) and parts[0].stat().st_size > seconds * 16000


def recordings(server: PbxServer) -> list[Path]:
    """The files of recorded calls."""
    return sorted((server.folder / "data" / "recordings").rglob("*.wav"))


def matches(
    server: PbxServer,
    phone: Phone,
    call: PhoneCall,
    prompt: Prompt,
    start_s: float = 0.0,
    part_s: float = 0.0,
) -> float:
    """How well what a phone has heard agrees with a prompt as it was rendered, or with its beginning."""
    rendered = Renderer(None, server.folder / "data").known(prompt)
    if rendered is None:
        return 0.0
    heard, rate = phone.ear(call).heard(start_s)
    spoken = np.fromfile(f"{rendered.stem}-{rate}.pcm", "<i2").astype(float)
    return contains(heard, spoken[: round(part_s * rate)] if part_s else spoken, rate)


def wait_heard(
    server: PbxServer,
    phone: Phone,
    call: PhoneCall,
    prompt: Prompt,
    start_s: float = 0.0,
    part_s: float = 0.0,
    timeout: float = PATIENCE_S,
) -> None:
    """Until a phone has heard a prompt."""
    wait_until(
        f"{phone.name} hears {prompt.parts}",
        lambda: matches(server, phone, call, prompt, start_s, part_s) > 0.5,
        timeout,
        0.3,
    )


def said_to(phone: Phone, call: PhoneCall, start_s: float = 0.0) -> str:
    """What a phone has heard, in words."""
    return words(*phone.ear(call).heard(start_s))


def wait_said(
    phone: Phone, call: PhoneCall, expected: str, start_s: float = 0.0, timeout: float = PATIENCE_S
) -> None:
    """Until the words are heard."""
    wait_until(f"{expected!r} is said", lambda: expected in said_to(phone, call, start_s), timeout, 0.5)


def share_of(phone: Phone, call: PhoneCall, frequency: float) -> float:
    """Of the energy that a phone heard in the last second, how much is near a frequency."""
    heard, rate = phone.ear(call).heard(max(0.0, phone.ear(call).seconds() - 1.0))
    if not len(heard):
        return 0.0
    power = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    near = np.abs(np.fft.rfftfreq(len(heard), 1 / rate) - frequency) < 15
    return float(power[near].sum() / max(power.sum(), 1.0))
