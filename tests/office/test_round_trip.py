"""apply(export(office)) changes nothing, whatever the office."""

import tomllib

from hypothesis import HealthCheck, Phase, given, settings

from pbx.office.plan import plan
from pbx.office.snapshot import Office
from pbx.office.toml import export_office
from tests.office.fakes import parse
from tests.office.offices import offices

MODEST = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a whole office takes minutes to shrink
)


@MODEST
@given(offices())
def test_what_is_exported_plans_nothing_when_it_is_applied_again(office):
    text = export_office(office)
    file = parse(text, existing=office)
    assert str(plan(office, file.office)) == "nothing to do"
    assert file.office == office
    assert file.generated == {}
    phones = [phone for each in office.extensions for phone in each.devices]
    secrets = [
        "fake$",
        "s3cret",
        *(phone.ha1_md5 for phone in phones),
        *(phone.ha1_sha256 for phone in phones),
    ]
    assert not [secret for secret in secrets if secret in text]


@MODEST
@given(offices())
def test_an_export_into_an_empty_database_misses_only_the_secrets(office):
    file = parse(export_office(office))
    assert tomllib.loads(export_office(file.office)).keys() == tomllib.loads(export_office(office)).keys()
    assert file.generated.keys() == {device.username for each in office.extensions for device in each.devices}
    again = parse(export_office(file.office), existing=office)
    assert all("changes" not in line for line in plan(office, again.office).changed)


@MODEST
@given(offices(), offices())
def test_a_plan_is_empty_exactly_between_equal_offices(one, other):
    assert plan(one, one).is_empty
    assert plan(one, other).is_empty == (one == other)
    assert plan(Office(realm=one.realm), one).removed == ()
    assert plan(one, Office(realm=one.realm)).added == ()


def test_an_empty_office_is_an_empty_file():
    assert export_office(Office()) == "\n"
    assert parse("").office == Office(realm="pbx.local")
