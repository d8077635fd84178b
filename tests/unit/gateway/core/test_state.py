from gateway.core.state import State


def test_a_new_state_knows_nothing_and_shares_nothing():
    one, other = State(), State()
    assert one.prices is None and one.reserved_usd == 0.0 and one.schedule.waiting == 0
    one.placement.health("strong").success = 0.1
    one.counts.add([("n", 1)], 1000.0)
    assert other.placement.health("strong").success > 0.9
    assert other.counts.fields() == set()


def test_a_state_takes_no_options_so_that_a_configuration_can_change_under_it():
    assert State.__init__.__code__.co_argcount == 1
