"""Sound files by `pbx apply`: looked at, kept, exported, refused."""

import hashlib
import io
import re

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from pbx.app.uploads import Uploads
from pbx.cli import main
from pbx.office.uploads import UploadError
from tests.support.full_disk import full_disk

OFFICE = """\
[[member]]
email = "ann@acme.example"
account = "owner"
[[extension]]
key = "100"
[extension.no_answer.greeting]
mp3 = "GREETING"
[[line]]
name = "main"
[[line.block]]
name = "thanks"
kind = "play"
prompt = { mp3 = "sounds/Thank you (final).mp3" }
"""


def mp3(seconds):
    target = io.BytesIO()
    noise = np.random.default_rng(1).normal(0, 0.1, int(seconds * 8000))
    soundfile.write(target, noise, 8000, format="MP3", subtype="MPEG_LAYER_III")
    return target.getvalue()


SOUND, OTHER = mp3(1), mp3(2)


class Office:
    def __init__(self, folder):
        self.folder, self.data = folder, folder / "data"
        (folder / "pbx.toml").touch()
        (folder / "sounds").mkdir()
        (folder / "sounds" / "Thank you (final).mp3").write_bytes(OTHER)
        (folder / "hello.mp3").write_bytes(SOUND)

    def __call__(self, *words, code=0):
        done = CliRunner().invoke(main, [*words, "--config", str(self.folder / "pbx.toml")])
        assert done.exit_code == code, done.output
        return done.stderr if code else done.stdout

    def apply(self, greeting="hello.mp3", *words, code=0):
        file = self.folder / "office.toml"
        file.write_text(OFFICE.replace("GREETING", greeting))
        return self("apply", str(file), *words, code=code)

    def kept(self):
        return sorted(path.name for path in (self.data / "prompts").glob("*"))


@pytest.fixture
def pbx(tmp_path):
    return Office(tmp_path)


def name(content, word):
    return f"{hashlib.sha256(content).hexdigest()[:16]}-{word}.mp3"


def test_files_are_kept_and_export_names_what_is_kept(pbx):
    assert "applied" in pbx.apply()
    both = [name(SOUND, "hello"), name(OTHER, "Thank-you-final")]
    assert pbx.kept() == sorted(both)
    assert (pbx.data / "prompts" / both[0]).read_bytes() == SOUND
    exported = pbx("export")
    assert f'mp3 = "prompts/{both[0]}"' in exported
    assert f'mp3 = "prompts/{both[1]}"' in exported
    (pbx.folder / "elsewhere").mkdir()
    (pbx.folder / "elsewhere" / "again.toml").write_text(exported)
    assert pbx("apply", str(pbx.folder / "elsewhere" / "again.toml")) == "nothing to do\n"
    assert pbx.apply() == "nothing to do\n"


def test_a_changed_file_is_a_change(pbx):
    pbx.apply()
    (pbx.folder / "hello.mp3").write_bytes(OTHER)
    assert "~ extension 100: no_answer" in pbx.apply()
    assert name(OTHER, "hello") in pbx("export")


def test_a_dry_run_and_a_check_keep_nothing(pbx):
    pbx.apply("hello.mp3", "--dry-run")
    pbx("check", str(pbx.folder / "office.toml"))
    assert pbx.kept() == []


WRONG = {
    "no file": (None, r'"bad.mp3": No such file'),
    "empty": (b"", r'"bad.mp3": the file is empty'),
    "something else": (b"\x89PNG" * 999, r'"bad.mp3": this is no mp3 file'),
    "too large": (b"\0" * 5_000_001, r"5,000,001 bytes; at most 5,000,000 are allowed"),
    "too long": (mp3(601), r"it plays longer than 10 minutes"),
}


@pytest.mark.parametrize(("content", "says"), WRONG.values(), ids=WRONG)
def test_what_is_refused_changes_nothing(pbx, content, says):
    pbx.apply()
    before = pbx("export"), pbx.kept()
    if content is not None:
        (pbx.folder / "bad.mp3").write_bytes(content)
    said = pbx.apply("bad.mp3", code=2)
    assert re.search(r'office.toml:7: extension "100".no_answer.greeting.mp3: found ', said)
    assert re.search(says, said)
    assert "allowed: an MP3 file of at most 5 MB and 10 minutes" in said
    assert (pbx("export"), pbx.kept()) == before


def test_another_sort_of_sound_is_refused(pbx):
    soundfile.write(pbx.folder / "bad.mp3", np.zeros(800), 8000, format="WAV")
    assert "of the sort wav; it has to be mp3" in pbx.apply("bad.mp3", code=2)


def test_a_kept_file_that_is_gone_is_a_mistake(pbx):
    pbx.apply()
    (pbx.data / "prompts" / name(SOUND, "hello")).unlink()
    said = pbx.apply(f"prompts/{name(SOUND, 'hello')}", code=2)
    assert "which is not in the data folder" in said
    assert pbx.apply("hello.mp3") == "nothing to do\n"
    assert name(SOUND, "hello") in pbx.kept()


def test_a_path_cannot_lead_out_of_the_data_folder(pbx):
    (pbx.data / "prompts").mkdir(parents=True)
    said = pbx.apply("prompts/../../secret.mp3", code=2)
    assert "No such file" in said


def test_on_a_full_disk_nothing_half_written_stays(tmp_path):
    (tmp_path / "hello.mp3").write_bytes(SOUND)
    uploads = Uploads(tmp_path / "data", tmp_path)
    kept = uploads.take("hello.mp3")
    with full_disk(), pytest.raises(UploadError, match=kept):
        uploads.keep()
    assert list((tmp_path / "data" / "prompts").iterdir()) == []
    uploads.keep()
    assert (tmp_path / "data" / kept).read_bytes() == SOUND
