"""Which model answered before."""

from gateway.core.routing.conversation import Conversations


def test_a_conversation_that_stays_on_its_model_has_no_switch() -> None:
    talks = Conversations()
    assert talks.look(0.5, 1) is None
    assert [talks.answered(0.5, turn, "strong") for turn in (1, 2, 3)] == [None, 0, 0]


def test_switches_are_numbered_and_a_turn_without_one_is_none() -> None:
    talks = Conversations()
    models = ["strong", "weak", "weak", "strong", "strong", "weak"]
    assert [talks.answered(0.5, turn, model) for turn, model in enumerate(models, 1)] == [None, 1, 0, 2, 0, 3]
    kept = talks.look(0.5, 7)
    assert kept is not None and (kept.model, kept.switches) == ("weak", 3)


def test_a_first_turn_begins_anew() -> None:
    talks = Conversations()
    for turn, model in enumerate(["strong", "weak", "strong"], 1):
        talks.answered(0.5, turn, model)
    assert talks.answered(0.5, 1, "weak") is None and talks.answered(0.5, 2, "weak") == 0


def test_a_later_turn_of_a_conversation_that_nobody_remembers_is_its_beginning() -> None:
    assert Conversations().answered(0.5, 9, "weak") is None


def test_the_one_silent_for_longest_is_forgotten() -> None:
    talks = Conversations(conversations_max=2)
    talks.answered(0.1, 1, "strong")
    talks.answered(0.2, 1, "strong")
    talks.answered(0.1, 2, "strong")
    talks.answered(0.3, 1, "strong")
    assert talks.look(0.2, 2) is None and talks.look(0.1, 3) is not None and talks.look(0.3, 2) is not None
