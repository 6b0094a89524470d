"""The database gives back what it was given, whatever the office."""

from hypothesis import HealthCheck, Phase, given, settings

from tests.office.offices import offices


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(office=offices())
def test_an_office_is_loaded_as_it_was_saved(store, office):
    store.save(office)
    assert store.load()[0] == office
