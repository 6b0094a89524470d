"""Which files of mail are thrown away."""

import os
from pathlib import Path

from pbx.mail.attachments import throw_away
from pbx.mail.letter import write_letter
from pbx.mail.packing import make_row
from pbx.store.outbox import Outbox
from pbx.store.store import open_store
from tests.mail.test_outbox import AT, Core, Trial

NOW = 100_000.0


def put(folder: Path, name: str, age_s: float = 4000.0, now: float = NOW) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(b"sound")
    os.utime(path, (now - age_s, now - age_s))
    return path


def test_what_no_mail_names_is_thrown_away_unless_it_is_young(tmp_path):
    old, wanted, young = put(tmp_path, "old.mp3"), put(tmp_path, "wanted.mp3"), put(tmp_path, "young.mp3", 60)
    assert throw_away(tmp_path, ["/another/place/wanted.mp3"], NOW) == 1
    assert [each.exists() for each in (old, wanted, young)] == [False, True, True]


def test_a_folder_that_is_not_there_is_empty(tmp_path):
    assert throw_away(tmp_path / "none", [], NOW) == 0


def test_mail_names_its_file_until_it_is_sent(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/pbx.db")
    outbox = Outbox(store)
    letter = write_letter(Trial(AT), "Acme", "UTC")
    for id_ in ("waits", "refused", "sent"):
        outbox.add(
            [make_row(id_, letter, "pbx@acme.example", "ann@acme.example", 1.0, Path(f"/x/{id_}.mp3"))]
        )
    outbox.add([make_row("without", letter, "pbx@acme.example", "ann@acme.example", 1.0)])
    outbox.finish("refused", "refused", 1, 0, 1.0, "no", 1.0)
    outbox.finish("sent", "sent", 1, 0, 1.0, "yes", 1.0)
    assert outbox.attachments() == {"/x/waits.mp3", "/x/refused.mp3"}
    store.close()


def test_the_sender_tidies_up_but_keeps_what_waits_to_be_written(tmp_path):
    folder = tmp_path / "outbox"
    core = Core(folder=folder)
    wanted, old = (put(folder, name, now=core.now()) for name in ("wanted.mp3", "old.mp3"))
    core.outbox.gone = True
    core.send("ann@acme.example", attachment=wanted)
    core.pool.run()
    core.outbox.gone = False
    core.mailer.start()
    core.pool.run()
    assert wanted.exists()
    assert not old.exists()
