"""Changes of the office from a phone: in the database, then in force, then answered."""

from dataclasses import replace

import pytest
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock

from pbx.app import changes
from pbx.app.changes import TRIES, OfficeChanges, save_change
from pbx.call.dialogue import Unanswered
from pbx.call.questions import ChangeOffice, DoNotDisturb, Forward, Refused
from pbx.errors import StoreError
from pbx.office.extension import Extension
from pbx.office.incoming import Incoming
from pbx.office.snapshot import Office
from pbx.store.store import ConflictError, open_store

OFFICE = Office(extensions=(Extension("100"), Extension("101")))
ON = ChangeOffice("100", DoNotDisturb(True))


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'pbx.db'}")
    opened.save(OFFICE)
    yield opened
    opened.close()


def test_a_change_is_written_as_a_new_revision(store):
    assert save_change(store, ON) is None
    office, revision = store.load()
    assert revision == 2
    assert office == replace(
        OFFICE, extensions=(Extension("100", incoming=Incoming(do_not_disturb=True)), Extension("101"))
    )


def test_what_is_so_already_is_not_written(store):
    save_change(store, ON)
    assert save_change(store, ON) is None
    assert store.revision() == 2


def test_what_is_refused_is_not_written(store):
    refused = save_change(store, ChangeOffice("100", Forward("+6531112222")))
    assert refused == Refused("100 has no outbound rule: it calls nobody outside")
    assert store.load() == (OFFICE, 1)


class Meanwhile:
    """A store that others change between a load and a save, `times` times."""

    def __init__(self, store, times):
        self._store, self._times = store, times

    def load(self):
        return self._store.load()

    def save(self, office, expected):
        if self._times:
            self._times -= 1
            now, _ = self._store.load()
            settings = replace(now.settings, name=f"name {self._times}")
            self._store.save(replace(now, settings=settings))
        return self._store.save(office, expected=expected)


def test_what_others_change_meanwhile_stays(store):
    assert save_change(Meanwhile(store, TRIES - 1), ON) is None
    office, revision = store.load()
    assert (office.settings.name, revision) == ("name 0", 1 + TRIES)
    assert office.extension("100").incoming.do_not_disturb


def test_who_never_gets_a_turn_gives_up(store):
    with pytest.raises(ConflictError):
        save_change(Meanwhile(store, TRIES), ON)


class Reactor(Clock):
    def getThreadPool(self):  # noqa: N802
        return None


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(changes, "deferToThreadPool", lambda _r, _p, f, *given: maybeDeferred(f, *given))


@pytest.mark.usefixtures("at_once")
def test_it_is_answered_when_it_is_in_force(store):
    look, answers = Deferred(), []
    OfficeChanges(Reactor(), store, lambda: look).change(ON, answers.append)
    assert store.revision() == 2
    assert answers == []
    look.callback(2)
    assert answers == [True]


@pytest.mark.usefixtures("at_once")
def test_a_refusal_is_the_answer_and_nothing_is_looked_at(store):
    answers = []
    made = OfficeChanges(Reactor(), store, lambda: pytest.fail("looked"))
    made.change(ChangeOffice("100", Forward("100")), answers.append)
    assert answers == [Refused("100 would be forwarded to itself")]


GONE = {
    "the database is gone": (StoreError("gone"), lambda: pytest.fail("looked")),
    "it is gone when the server looks": (None, lambda: fail(StoreError("gone"))),
}


@pytest.mark.parametrize(("error", "look"), GONE.values(), ids=GONE)
@pytest.mark.usefixtures("at_once")
def test_what_fails_is_answered_too(store, monkeypatch, error, look):
    if error is not None:
        monkeypatch.setattr(store, "load", lambda: (_ for _ in ()).throw(error))
    answers = []
    OfficeChanges(Reactor(), store, look).change(ON, answers.append)
    assert answers == [Unanswered("the office was not changed")]
