"""A start asks by name, an edit asks for a new number until it is answered."""

from gateway.edges.store.generations import Generations


def test_a_start_asks_for_what_the_store_knows_and_goes_on_with_it() -> None:
    ours = Generations()
    assert ours.asked("h1") == (0, False)
    ours.learned(4)
    assert ours.asked("h1") == (4, False)


def test_an_edit_asks_for_a_new_generation_until_an_answer_came() -> None:
    ours = Generations()
    ours.asked("h1")
    ours.learned(4)
    assert ours.asked("h2") == (0, True)
    assert ours.asked("h2") == (0, True), "the reply was lost"
    ours.learned(5)
    assert ours.asked("h2") == (5, False)


def test_an_edit_before_the_first_answer_is_an_edit_too() -> None:
    ours = Generations()
    ours.asked("h1")
    assert ours.asked("h2") == (0, True)
