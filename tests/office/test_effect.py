from pbx.office.effect import IN_EFFECT, not_yet_in_effect
from pbx.office.snapshot import Office
from pbx.office.table import Nested, Rows, columns
from tests.office.fakes import parse


def test_what_works_is_not_listed():
    office = parse(
        '[office]\nname = "Acme"\ncountry = "SG"\ntimezone = "Asia/Singapore"\n'
        '[[member]]\nemail = "ann@acme.example"\nname = "Ann"\naccount = "owner"\n'
        '[[extension]]\nkey = "100"\nlabel = "Ann"\nassignee = "ann@acme.example"\n'
        '[[extension.device]]\nkind = "ip_phone"\nusername = "100"\ntls = true\nring = false\n'
        "[extension.no_answer]\ntimeout = 30\n"
    ).office
    assert not_yet_in_effect(office) == []


def test_what_is_only_stored_is_listed_once_by_its_outermost_table():
    office = parse(
        '[[extension]]\nkey = "100"\nrecord = "all"\nrole = "supervisor"\n'
        '[extension.no_answer]\naction = "hangup"\n[extension.no_answer.greeting]\ntext = "x"\npitch = 3\n'
        '[[extension]]\nkey = "101"\nrole = "supervisor"\n'
        "[[holiday]]\ndate = 2026-12-25\n[[holiday]]\ndate = 2026-12-26\n"
    ).office
    assert not_yet_in_effect(office) == ["extension.role", "holiday"]


def _all_keys(owner, before=""):
    for column in columns(owner):
        inner = (
            [column.shape.type]
            if isinstance(column.shape, Nested)
            else column.shape.types
            if isinstance(column.shape, Rows)
            else ()
        )
        yield before + column.key
        for each in inner:
            yield from _all_keys(each, f"{before}{column.key}.")


def test_every_key_in_the_table_exists():
    assert set(_all_keys(Office)) >= IN_EFFECT
