"""The thread that writes recordings: all of it is waited for, nothing sleeps."""

import select
import threading

import numpy as np
import pytest

from pbx.media.files import STOP_S, Files
from pbx.store.sound_files import repair

PATIENCE_S = 60.0
SECOND = np.arange(8_000, dtype=np.int16)


@pytest.fixture
def files():
    made = Files()
    yield made
    made.stop()


def wait_for(files, told, count=1):
    while len(told) < count:
        assert select.select([files.wake], [], [], PATIENCE_S)[0], "nothing was told"
        files.take(0.0)


def test_what_was_appended_is_in_the_file_when_that_is_told(files, tmp_path):
    told, path = [], tmp_path / "file.wav"
    file = files.open(str(path), 8_000, 2)
    for _ in range(3):
        file.append(SECOND, SECOND)
    file.close(told.append)
    wait_for(files, told)
    assert told == [""]
    assert repair(path) == 3.0


def test_without_sound_there_is_no_file(files, tmp_path):
    told, path = [], tmp_path / "file.wav"
    files.open(str(path), 8_000, 1).close(told.append)
    wait_for(files, told)
    assert (told, path.exists()) == ([""], False)


WRONG = {
    "no such folder": ("none/file.wav", None, "No such file"),
    "there is one already": ("there.wav", None, "File exists"),
    "sides of two lengths": ("file.wav", SECOND[:5], "5 on the right"),
}


@pytest.mark.parametrize(("name", "right", "why"), WRONG.values(), ids=WRONG)
def test_what_goes_wrong_is_told_and_harms_no_other(files, tmp_path, name, right, why):
    (tmp_path / "there.wav").touch()
    told, fine = [], []
    file = files.open(str(tmp_path / name), 8_000, 1 if right is None else 2)
    for _ in range(2):
        file.append(SECOND, right)
    file.close(told.append)
    other = files.open(str(tmp_path / "other.wav"), 8_000, 1)
    other.append(SECOND, None)
    other.close(fine.append)
    wait_for(files, fine)
    assert why in told[0]
    assert fine == [""]


def test_a_bug_ends_one_job_and_not_the_thread(files, capfd):
    files.put(lambda: 1 // 0)
    done = threading.Event()
    files.put(done.set)
    assert done.wait(PATIENCE_S)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_more_at_once_than_the_socket_holds_wakes_for(tmp_path):
    """As when the core closes its end and all calls were recorded: nobody reads then but `stop`."""
    files, told = Files(), []
    for at in range(2_000):
        file = files.open(str(tmp_path / str(at)), 8_000, 1)
        if not at % 100:
            file.append(SECOND, None)
        file.close(told.append)
    done = threading.Event()
    files.put(done.set)
    assert done.wait(PATIENCE_S + STOP_S)
    files.stop()
    assert told == [""] * 2_000
    assert len(list(tmp_path.iterdir())) == 20
