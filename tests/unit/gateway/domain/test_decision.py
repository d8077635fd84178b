from gateway.domain.decision import Choice, Shed
from gateway.domain.errors import Reason


def test_a_choice_keeps_what_was_compared():
    choice = Choice("weak", "score", (0.4, 0.5), -0.1, 0.3, 0.42)
    assert (choice.model, choice.margin, choice.win_rate, choice.threshold) == ("weak", -0.1, 0.3, 0.42)


def test_two_refusals_that_say_the_same_are_equal():
    assert Shed(Reason.SHED_DEADLINE, "busy", 3.0) == Shed(Reason.SHED_DEADLINE, "busy", 3.0)
    assert Shed(Reason.SHED_DEADLINE, "busy", 3.0) != Shed(Reason.SHED_OVERLOAD, "busy", 3.0)
