"""The core's side with a real speech process, in a reactor of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from twisted.internet.defer import succeed
from twisted.internet.epollreactor import EPollReactor
from twisted.logger import globalLogPublisher

from pbx.media import rendering
from pbx.media.prompt import (
    Digits,
    Number,
    Prompt,
    RenderError,
    Silence,
    SoundError,
    SoundFile,
    Speech,
    System,
    Tone,
)
from pbx.media.rendering import Renderer
from tests.support.full_disk import full_disk

PATIENCE_S = 60


class Desk:
    """A renderer whose answers are waited for."""

    def __init__(self, data, **more):
        self.reactor = EPollReactor()
        self.renderer = Renderer(self.reactor, data, **more)

    def wait(self, ask):
        """What `ask()` fires with; its failure is raised."""
        found = []

        def end(outcome):
            found.append(outcome)
            self.reactor.crash()

        self.reactor.callWhenRunning(lambda: ask().addBoth(end))
        timer = self.reactor.callLater(PATIENCE_S, self.reactor.crash)
        self.reactor.run(installSignalHandlers=False)
        assert found, "waited too long"
        timer.cancel()
        if hasattr(found[0], "raiseException"):
            found[0].raiseException()
        return found[0]

    def render(self, *parts, **more):
        return self.wait(lambda: self.renderer.render(Prompt(parts, **more)))


@pytest.fixture
def make_desk(tmp_path, monkeypatch):
    monkeypatch.setattr(rendering, "LIMIT_S", PATIENCE_S)
    made = []

    def make(limit_s=PATIENCE_S, idle_s=PATIENCE_S, **more):
        made.append(Desk(tmp_path / "data", limit_s=limit_s, idle_s=idle_s, **more))
        return made[-1]

    yield make
    for desk in made:
        desk.wait(desk.renderer.stop)


def samples(rendered, rate_hz):
    return np.fromfile(f"{rendered.stem}-{rate_hz}.pcm", "<i2")


def test_a_prompt_is_made_once_and_known_then(make_desk):
    desk = make_desk()
    prompt = Prompt((System("goodbye"), Silence(0.5), Tone((440.0,), 0.5)))
    assert desk.renderer.known(prompt) is None
    rendered = desk.wait(lambda: desk.renderer.render(prompt))
    assert len(samples(rendered, 8000)) * 2 == len(samples(rendered, 16000))
    assert 1.3 < rendered.seconds < 2.5
    assert desk.renderer.known(prompt) == rendered
    before = os.stat(f"{rendered.stem}-8000.pcm").st_mtime_ns
    assert desk.wait(lambda: desk.renderer.render(prompt)) == rendered
    assert os.stat(f"{rendered.stem}-8000.pcm").st_mtime_ns == before


def test_killed_in_mid_work_it_is_replaced_and_the_job_done_again(make_desk):
    desk = make_desk()
    desk.render(Number(1))
    first = desk.renderer.pid

    def kill_at_work():
        asked = desk.renderer.render(Prompt((Speech("A long text. " * 150),)))
        os.kill(first, signal.SIGKILL)
        return asked

    assert desk.wait(kill_at_work).seconds > 60
    assert desk.renderer.pid not in (None, first)


def test_what_takes_too_long_fails_and_the_next_is_made(make_desk):
    desk = make_desk(limit_s=0.01)
    with pytest.raises(RenderError, match=r"died of it 2 times \(took more than 0.01 s"):
        desk.render(Speech("A long text. " * 150))
    desk.renderer._limit_s = PATIENCE_S
    assert desk.render(Number(2)).seconds > 0.2


def test_without_work_it_ends_and_comes_again(make_desk):
    desk = make_desk(idle_s=0.0)
    assert desk.render(Number(3)).seconds > 0.2
    assert desk.render(Number(4)).seconds > 0.2


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((System("nothing-like-it"),), "no system prompt nothing-like-it"),
        ((System("vm-message"),), "vm-message takes 1 values, not 0"),
        ((Speech("x" * 2001),), "2001 characters; at most 2000"),
        ((SoundFile("/nowhere/at.mp3"),), "/nowhere/at.mp3: No such file"),
        ((Silence(-1),), "-1 seconds"),
        ((Speech("hello", language="xx"),), 'no voice speaks "xx"; there are .*en'),
    ],
)
def test_what_cannot_be(make_desk, parts, says):
    with pytest.raises(RenderError, match=says):
        make_desk().render(*parts)


def test_what_cannot_be_made_ahead_is_a_line_for_each_reason(make_desk):
    """As hundreds of prompts on a full disk."""
    lines: list[str] = []

    def observe(event):
        lines.append(event["log_format"].format(**event))

    desk = make_desk()
    prompts = [Prompt((Silence(-1), Digits(digit))) for digit in "12"]
    globalLogPublisher.addObserver(observe)
    desk.wait(lambda: desk.renderer.render_ahead(prompts))
    globalLogPublisher.removeObserver(observe)
    ours = [line.partition(":")[0] for line in lines if "prompt" in line]
    assert ours == ["2 prompts cannot be made"]


def test_files_are_known_by_their_content(make_desk, tmp_path):
    import soundfile  # noqa: PLC0415

    desk = make_desk()
    path = tmp_path / "a.wav"
    soundfile.write(path, np.sin(np.arange(16000) / 5) * 0.3, 16000)
    first = desk.render(SoundFile(str(path)))
    assert first.seconds == 1
    other = tmp_path / "b.wav"
    other.write_bytes(path.read_bytes())
    assert desk.render(SoundFile(str(other))) == first
    soundfile.write(path, np.sin(np.arange(8000) / 5) * 0.3, 16000)
    assert desk.render(SoundFile(str(path))).seconds == 0.5


def test_of_a_message_that_was_heard_nothing_stays(make_desk, tmp_path):
    import soundfile  # noqa: PLC0415

    desk = make_desk()
    path = tmp_path / "a.wav"
    soundfile.write(path, np.sin(np.arange(8000) / 5) * 0.3, 8000)
    message = Prompt((SoundFile(str(path)),))
    desk.renderer.forget(message)  # nobody has heard it yet
    stem = desk.render(*message.parts).stem
    path.unlink()
    desk.renderer.forget(message)  # its file is gone: it cannot be found any more
    soundfile.write(path, np.sin(np.arange(8000) / 5) * 0.3, 8000)
    desk.render(*message.parts)
    desk.renderer.forget(message)
    assert not list(Path(stem).parent.glob("*.pcm"))
    assert desk.renderer._hashes == {}


def test_sounds_are_encoded(make_desk, tmp_path):
    import soundfile  # noqa: PLC0415

    from pbx.media.sound import check  # noqa: PLC0415

    desk = make_desk()
    path = tmp_path / "a.wav"
    soundfile.write(path, np.sin(np.arange(16000) / 5) * 0.3, 8000)
    mp3 = desk.wait(lambda: desk.renderer.to_mp3(str(path)))
    facts = check(mp3, "mp3")
    assert facts.seconds == pytest.approx(2, abs=0.2)
    with pytest.raises(SoundError, match="No such file"):
        desk.wait(lambda: desk.renderer.to_mp3(str(tmp_path / "none.wav")))


def test_what_is_urgent_goes_before_what_is_made_ahead(make_desk):
    desk = make_desk()
    ahead = [Prompt((Number(number),)) for number in range(10, 16)]
    wrong = Prompt((SoundFile("/nowhere.mp3"),))

    def ask():
        desk.ahead = desk.renderer.render_ahead([*ahead, wrong, *ahead])
        return desk.renderer.render(Prompt((Number(1),)))

    desk.wait(ask)
    known = [desk.renderer.known(prompt) is not None for prompt in ahead]
    assert sum(known) <= 1  # the next, which was begun when we heard of ours
    desk.wait(lambda: desk.ahead)
    assert all(desk.renderer.known(prompt) for prompt in ahead)


def test_a_thousand_prompts_are_asked_for_in_many_turns_of_the_reactor(tmp_path):
    later, asked, done = [], [], []
    renderer = Renderer(SimpleNamespace(callLater=lambda _, step: later.append(step)), tmp_path)
    renderer.render = lambda prompt, **_: asked.append(prompt) or succeed(None)
    renderer.render_ahead([Prompt((Number(number),)) for number in range(1000)]).addCallback(done.append)
    assert len(asked) <= 50
    while later:
        before = len(asked)
        later.pop(0)()
        assert len(asked) - before <= 50
    assert len(asked) == 1000
    assert done == [None]


def test_a_command_speaks(make_desk, tmp_path):
    program = tmp_path / "speaker"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys, wave\n"
        "text = sys.stdin.read()\n"
        "if text == 'fail': sys.exit('no voice today')\n"
        "with wave.open(sys.stdout.buffer, 'wb') as out:\n"
        "    out.setnchannels(1); out.setsampwidth(2); out.setframerate(22050)\n"
        "    out.writeframes(bytes([0, 9, 0, 200]) * 22050) if sys.argv[1:] == ['en-female', '7'] else 0\n"
    )
    program.chmod(0o700)
    desk = make_desk(command=(str(program), "{language}-{gender}", "{rate}"))
    assert desk.render(Speech("hello", rate=7)).seconds == pytest.approx(2.1, abs=0.05)
    with pytest.raises(RenderError, match=r"speaker ended with 1 .* no voice today"):
        desk.render(Speech("fail", rate=7))
    with pytest.raises(RenderError, match="no sound in it"):
        desk.render(Speech("hello", rate=6))


def test_the_cache_does_not_grow_without_end(tmp_path, monkeypatch):
    from pbx.media import speech  # noqa: PLC0415  # loads numpy

    day = 86_400
    for age_days in (0, 1, 2, 50, 100):
        file = tmp_path / f"{age_days}-8000.pcm"
        file.write_bytes(bytes(100))
        os.utime(file, (10_000 * day, (10_000 - age_days) * day))
    left = lambda: sorted(int(each.name.partition("-")[0]) for each in tmp_path.iterdir())  # noqa: E731
    speech.prune(tmp_path, 10_000 * day)
    assert left() == [0, 1, 2, 50]
    monkeypatch.setattr(speech, "MAX_CACHE_BYTES", 200)
    speech.prune(tmp_path, 10_000 * day)
    assert left() == [0, 1]
    monkeypatch.setattr(speech, "MAX_CACHE_BYTES", 0)
    speech.prune(tmp_path, 10_000 * day)
    assert left() == [0]
    speech.prune(tmp_path / "none", 0)


def test_what_does_not_fit_on_the_disk_leaves_nothing_there(tmp_path):
    from pbx.media import speech  # noqa: PLC0415  # loads numpy

    with full_disk(), pytest.raises(OSError, match="File too large"):
        speech.write_whole(tmp_path / "a.pcm", bytes(100))
    assert not list(tmp_path.iterdir())


def test_stopping_fails_what_is_still_asked_for(make_desk):
    desk = make_desk()

    def ask_and_stop():
        asked = desk.renderer.render(Prompt((Digits("123"),)))
        desk.renderer.stop()
        return asked

    with pytest.raises(RenderError, match="stopping"):
        desk.wait(ask_and_stop)


def test_the_core_needs_no_numpy():
    code = "import pbx.media.rendering, sys; sys.exit('numpy' in sys.modules or 'soundfile' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
