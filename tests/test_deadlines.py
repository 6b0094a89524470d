"""What falls due next."""

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.deadlines import Deadlines


def test_nothing_is_due_at_first():
    deadlines = Deadlines()
    assert (deadlines.next, len(deadlines), deadlines.pop_due(1e9)) == (None, 0, [])


def test_keys_fall_due_in_order_and_once():
    deadlines = Deadlines()
    for key, when in (("b", 2.0), ("a", 1.0), ("c", 3.0)):
        deadlines.set(key, when)
    assert deadlines.next == 1.0
    assert deadlines.pop_due(0.9) == []
    assert deadlines.pop_due(2.0) == ["a", "b"]
    assert deadlines.pop_due(2.0) == []
    assert (deadlines.next, len(deadlines)) == (3.0, 1)


def test_a_deadline_is_moved_or_cancelled():
    deadlines = Deadlines()
    deadlines.set("a", 1.0)
    deadlines.set("a", 5.0)
    deadlines.set("b", 2.0)
    deadlines.set("b", None)
    deadlines.set("never set", None)
    assert deadlines.next == 5.0
    assert deadlines.pop_due(4.0) == []
    assert deadlines.pop_due(5.0) == ["a"]


def test_what_is_moved_to_later_is_noticed_when_its_old_time_has_come():
    deadlines = Deadlines()
    deadlines.set("a", 1.0)
    deadlines.set("a", 5.0)
    assert deadlines.soonest == 1.0
    assert deadlines.pop_first(1.0) is None
    assert deadlines.soonest == 5.0
    assert deadlines.pop_first(5.0) == "a"
    assert deadlines.soonest == inf


def test_cancelled_entries_do_not_pile_up():
    deadlines = Deadlines()
    for number in range(10_000):
        deadlines.set("moved", 1000.0 + number)
        deadlines.set("hurried", 1000.0 - number)
        deadlines.set(number, 2000.0)
        deadlines.set(number, None)
    assert len(deadlines) == 2
    assert len(deadlines._heap) < 200


settings_of_keys = st.tuples(st.integers(0, 5), st.none() | st.integers(0, 20).map(float))


@settings(max_examples=200)
@given(st.lists(st.one_of(settings_of_keys, st.integers(0, 20).map(float)), max_size=200), st.booleans())
def test_it_behaves_as_a_dict_that_is_searched(script, is_asked):
    deadlines, model = Deadlines(), {}
    for step in script:
        if isinstance(step, float):
            due = {key for key, when in model.items() if when <= step}
            fallen = deadlines.pop_due(step)
            assert set(fallen) == due
            assert len(fallen) == len(due)
            assert [model[key] for key in fallen] == sorted(model[key] for key in fallen)
            model = {key: when for key, when in model.items() if key not in due}
        else:
            key, when = step
            deadlines.set(key, when)
            model.pop(key, None)
            if when is not None:
                model[key] = when
        assert deadlines.soonest <= min(model.values(), default=inf)
        if is_asked:
            assert deadlines.next == min(model.values(), default=None)
        assert len(deadlines) == len(model)
