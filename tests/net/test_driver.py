"""A machine under a driver: every step is taken, in order, and the clock wakes it when it asked for it."""

from twisted.internet.task import Clock

from pbx.net.driver import Driver


class Alarm:
    """A machine that notes when it was woken; `deadline` is the test's to set."""

    def __init__(self) -> None:
        self.deadline = None
        self.woken = []
        self.is_broken = False

    def expire(self, now):
        self.woken.append(now)
        if self.is_broken:
            raise RuntimeError("broken")
        if self.deadline is not None and self.deadline <= now:
            self.deadline = None
        return [f"woken {now}"]


def make():
    machine, clock, done = Alarm(), Clock(), []
    return machine, clock, done, Driver(machine, clock, done.append)


def test_a_step_gets_the_time_and_its_effects_are_performed_in_order():
    _, clock, done, driver = make()
    clock.advance(7)
    driver.run(lambda now: [now, "a", "b"])
    assert done == [7, "a", "b"]


def test_a_step_out_of_an_effect_is_taken_after_that_step():
    machine, clock, done = Alarm(), Clock(), []

    def perform(effect):
        if effect == "again":
            driver.run(lambda _now: ["inner"])
        done.append(effect)

    driver = Driver(machine, clock, perform)
    driver.run(lambda _now: ["again", "last"])
    assert done == ["again", "last", "inner"]


def test_steps_taken_in_a_row_are_settled_once():
    machine, clock, done = Alarm(), Clock(), []
    driver = Driver(machine, clock, done.append, lambda: done.append("flush"))
    machine.deadline = 2.0
    driver.take(lambda what, _now: [what], "a")
    driver.take(lambda what, more, _now: [what, more], "b", "c")
    assert (done, clock.getDelayedCalls()) == (["a", "b", "c"], [])
    driver.settle()
    assert done == ["a", "b", "c", "flush"]
    clock.advance(2)
    assert done[4:] == ["woken 2.0", "flush"]


def test_what_is_gathered_leaves_after_the_steps_that_effects_brought():
    done = []

    def perform(effect):
        if effect == "again":
            driver.run(lambda _now: ["inner"])
        done.append(effect)

    driver = Driver(Alarm(), Clock(), perform, lambda: done.append("flush"))
    driver.run(lambda _now: ["again", "last"])
    assert done == ["again", "last", "inner", "flush"]


def test_a_failed_step_hurts_no_other(capsys):
    _, _, done, driver = make()
    driver.run(lambda _now: 1 / 0)
    driver.run(lambda _now: ["fine"])
    assert done == ["fine"]


def test_a_failed_effect_hurts_no_other():
    done = []

    def perform(effect):
        if effect == "bad":
            raise RuntimeError(effect)
        done.append(effect)

    driver = Driver(Alarm(), Clock(), perform)
    driver.run(lambda _now: ["a", "bad", "b"])
    driver.run(lambda _now: ["c"])
    assert done == ["a", "b", "c"]


def test_the_machine_is_woken_at_its_deadline():
    machine, clock, done, driver = make()
    machine.deadline = 2.0
    driver.run(lambda _now: [])
    clock.advance(1.9)
    assert machine.woken == []
    clock.advance(0.1)
    assert done == ["woken 2.0"]
    clock.advance(100)
    assert machine.woken == [2.0]


def test_woken_late_it_takes_first_what_came_meanwhile():
    machine, clock, done, driver = make()
    machine.deadline = 2.0
    driver.settle()
    clock.callLater(4.0, driver.run, lambda _now: ["a key, read now"])
    clock.advance(5)
    assert done == ["a key, read now", "woken 5.0"]


def test_an_earlier_deadline_moves_the_timer():
    machine, clock, _, driver = make()
    machine.deadline = 50.0
    driver.run(lambda _now: [])
    machine.deadline = 3.0
    driver.run(lambda _now: [])
    clock.advance(3)
    assert machine.woken == [3.0]
    assert clock.getDelayedCalls() == []


def test_a_later_deadline_costs_no_timer_but_one_early_wake_up():
    machine, clock, _, driver = make()
    machine.deadline = 5.0
    driver.run(lambda _now: [])
    (timer,) = clock.getDelayedCalls()
    machine.deadline = 60.0
    for _ in range(10):
        driver.run(lambda _now: [])
    assert clock.getDelayedCalls() == [timer]
    clock.advance(5)
    clock.advance(55)
    assert machine.woken == [5.0, 60.0]


def test_a_deadline_in_the_past_is_now():
    machine, clock, _, driver = make()
    clock.advance(10)
    machine.deadline = 4.0
    driver.run(lambda _now: [])
    clock.advance(0)
    assert machine.woken == [10]


def test_a_machine_that_fails_when_woken_is_not_woken_in_a_tight_loop():
    machine, clock, done, driver = make()
    machine.is_broken, machine.deadline = True, 1.0
    driver.run(lambda _now: [])
    clock.pump([0.1] * 30)
    assert 3 <= len(machine.woken) <= 5
    machine.is_broken = False
    clock.advance(1)
    assert len(done) == 1


def test_a_stopped_driver_takes_no_step_and_leaves_no_timer():
    machine, clock, done, driver = make()
    machine.deadline = 1.0
    driver.run(lambda _now: [])
    driver.stop()
    driver.run(lambda _now: ["late"])
    assert (done, clock.getDelayedCalls()) == ([], [])
