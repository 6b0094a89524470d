"""`pbx caller-id` without a running server: requests, decisions, mail."""

import json

import pytest

from pbx.mail.letter import letter_of
from pbx.store.outbox import Outbox
from pbx.store.store import open_store
from tests.test_cli import Office

OFFICE = """\
[office]
timezone = "Asia/Singapore"
[[member]]
email = "ann@acme.example"
account = "owner"
[[member]]
email = "adm@acme.example"
account = "admin"
[[member]]
email = "bob@acme.example"
mobile = "+6598765432"
[[extension]]
key = "100"
label = "Bob"
assignee = "bob@acme.example"
[[extension]]
key = "101"
[[number]]
number = "+6560001000"
"""
NUMBER = "+6591234567"


@pytest.fixture
def pbx(tmp_path):
    made = Office(tmp_path)
    made.apply(OFFICE)
    return made


def mails(pbx) -> list[tuple[str, str]]:
    """Whom is written to, and about what; the oldest first."""
    store = open_store(pbx.url)
    rows = Outbox(store).rows(("waiting",), 100)
    store.close()
    assert all(letter_of(row.body["letter"]).kind == "caller_id" for row in rows)
    return sorted((row.recipient.partition("@")[0], row.subject) for row in rows)


def ask(pbx, *words: str) -> str:
    """Request a number; its id."""
    return pbx.json("caller-id", "request", "100", NUMBER, *words)["id"]


def test_a_request_is_kept_and_staff_are_mailed_once(pbx):
    said = pbx("caller-id", "request", "100", NUMBER, "--by", "Bob@acme.example")
    assert f": {NUMBER} for 100 is pending; owner and admins decide" in said
    subject = f"Caller ID {NUMBER} for 100 (Bob): pending"
    assert mails(pbx) == [("adm", subject), ("ann", subject)]
    again = pbx("caller-id", "request", "100", NUMBER)
    assert again == said
    assert len(mails(pbx)) == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("199", NUMBER), "there is no extension 199"),
        (("100", "91234567"), "'91234567' is not a number as"),
        (("100", "+65 9123 4567"), "did you mean +6591234567?"),
        (("100", "+6560001000"), "100 may show +6560001000 without a request"),
        (("100", "+6598765432"), "100 may show +6598765432 without a request"),
        (("100", NUMBER, "--by", "eve@acme.example"), "no member has the email address eve@acme.example"),
    ],
    ids=["no extension", "national", "with spaces", "the office's", "his own mobile", "a stranger asks"],
)
def test_what_is_no_request(pbx, words, why):
    pbx("caller-id", "request", *words, code=2)
    assert why in pbx.stderr
    assert mails(pbx) == []


def test_the_mobile_of_somebody_else_has_to_be_asked_for(pbx):
    assert pbx.json("caller-id", "request", "101", "+6598765432")["state"] == "pending"


def test_an_admin_approves_and_everybody_hears_of_it(pbx):
    request = ask(pbx)
    answer = pbx.json("caller-id", "approve", request, "--by", "adm@acme.example")
    assert (answer["state"], answer["decided_by"]) == ("approved", "adm@acme.example")
    subject = f"Caller ID {NUMBER} for 100 (Bob): approved"
    assert [who for who, about in mails(pbx) if about == subject] == ["adm", "ann", "bob"]


def test_who_decides_hears_whether_it_is_in_force(pbx):
    assert "is approved; no server answers here" in pbx("caller-id", "approve", ask(pbx))


def test_the_machines_administrator_may_decide_too(pbx):
    assert pbx.json("caller-id", "reject", ask(pbx))["decided_by"] == ""


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (
            "bob@acme.example",
            "no owner or admin: bob@acme.example; caller IDs are decided on by ann@acme.example",
        ),
        ("eve@acme.example", "no member has the email address eve@acme.example"),
    ],
    ids=["a member", "a stranger"],
)
def test_nobody_else_decides(pbx, by, why):
    request = ask(pbx)
    for word in ("approve", "reject"):
        pbx("caller-id", word, request, "--by", by, code=2)
        assert why in pbx.stderr
    assert pbx.json("caller-id", "list")[0]["state"] == "pending"


def test_nothing_is_decided_twice(pbx):
    request = ask(pbx)
    pbx("caller-id", "reject", request)
    pbx("caller-id", "approve", request, code=2)
    assert f"request {request} is rejected already; nothing was changed" in pbx.stderr
    pbx("caller-id", "approve", "nothing", code=2)
    assert "there is no request nothing" in pbx.stderr


def test_list(pbx):
    assert pbx("caller-id", "list") == "no requests\n"
    request = ask(pbx)
    pbx("caller-id", "approve", request, "--by", "ann@acme.example")
    head, row = pbx("caller-id", "list").splitlines()
    assert head.split() == ["ID", "EXT", "NUMBER", "STATE", "SINCE", "BY"]
    assert row.split()[:4] == [request, "100", NUMBER, "approved"]
    assert row.split()[-1] == "ann@acme.example"
    (listed,) = pbx.json("caller-id", "list")
    assert listed["decided_at"] >= listed["requested_at"]


def test_apply_remarks_on_a_number_that_will_not_be_shown_until_it_is_approved(pbx):
    text = OFFICE.replace('assignee = "bob@acme.example"', f'[extension.caller_id]\nnumber = "{NUMBER}"')
    remark = f'note: extension "100": {NUMBER} is neither an office number nor the mobile of the assignee'
    assert remark in pbx.apply(text)
    pbx("caller-id", "approve", ask(pbx))
    assert remark not in pbx.apply(text)
    pbx("caller-id", "reject", pbx.json("caller-id", "list")[0]["id"])
    assert remark in pbx.apply(text)


def test_a_running_server_notices_a_decision_by_the_revision(pbx):
    _, before = pbx.load()
    request = ask(pbx)
    assert pbx.load()[1] == before
    pbx("caller-id", "approve", request)
    assert pbx.load()[1] == before + 1


def test_without_an_office_there_is_nothing_to_ask(tmp_path):
    made = Office(tmp_path)
    made("caller-id", "request", "100", NUMBER, code=2)
    assert "there is no database" in made.stderr
    assert json.loads(made("caller-id", "request", "100", NUMBER, "--json", code=2))["error"]
