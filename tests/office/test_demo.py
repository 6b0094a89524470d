from importlib.resources import files

from pbx.office.effect import not_yet_in_effect
from tests.office.fakes import parse

DEMO = files("pbx").joinpath("assets", "demo-office.toml").read_text(encoding="utf-8")


def test_the_demo_office_has_three_phones_with_new_passwords():
    file = parse(DEMO)
    assert [extension.key for extension in file.office.extensions] == ["100", "101", "102"]
    assert file.generated.keys() == {"100", "101", "102"}
    assert len(set(file.generated.values())) == 3
    assert file.notes == ()


def test_everything_in_the_demo_office_works():
    assert not_yet_in_effect(parse(DEMO).office) == []
