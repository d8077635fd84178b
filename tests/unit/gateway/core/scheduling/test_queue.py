"""Who goes next, and who has to go."""

from gateway.core.scheduling.queue import Queue


def drained(queue: Queue[str]) -> list[str]:
    out = []
    while (item := queue.pop_ready(lambda _: True)) is not None:
        out.append(item)
    return out


def test_better_classes_first_then_earlier_deadlines_then_arrival() -> None:
    queue: Queue[str] = Queue()
    for item, rank, deadline_s in (("batch", 2, 1.0), ("late", 1, 9.0), ("soon", 1, 5.0), ("soon too", 1, 5.0), ("critical", 0, 60.0)):
        queue.push(item, rank, deadline_s, 10)
    assert drained(queue) == ["critical", "soon", "soon too", "late", "batch"]


def test_a_head_that_cannot_be_sent_holds_up_those_behind_it() -> None:
    queue: Queue[str] = Queue()
    queue.push("long", 0, 5.0, 9000)
    queue.push("short", 0, 6.0, 10)
    assert queue.pop_ready(lambda item: item == "short") is None and len(queue) == 2


def test_a_full_queue_gives_up_its_worst_for_a_better_newcomer_and_refuses_a_worse_one() -> None:
    queue: Queue[str] = Queue(entries_max=2)
    queue.push("standard", 1, 5.0, 10)
    queue.push("batch", 2, 1.0, 10)
    entry, gone = queue.push("critical", 0, 9.0, 10)
    assert gone == ["batch"] and entry.is_queued
    entry, gone = queue.push("late standard", 1, 6.0, 10)
    assert gone == ["late standard"] and not entry.is_queued
    assert drained(queue) == ["critical", "standard"]


def test_it_is_bounded_in_tokens_too_but_one_request_always_fits() -> None:
    queue: Queue[str] = Queue(tokens_max=1000)
    assert queue.push("huge", 1, 5.0, 5000)[1] == []
    assert queue.push("small", 0, 5.0, 500)[1] == ["huge"]
    assert queue.push("fits", 1, 5.0, 500)[1] == []


def test_what_has_expired_leaves_from_every_class_and_the_moment_itself_is_in_time() -> None:
    queue: Queue[str] = Queue()
    for item, rank, deadline_s in (("a", 0, 5.0), ("b", 1, 2.0), ("c", 1, 9.0), ("d", 2, 4.0)):
        queue.push(item, rank, deadline_s, 10)
    assert queue.expired(2.0) == []
    assert queue.expired(4.5) == ["b", "d"]
    assert drained(queue) == ["a", "c"]


def test_a_request_whose_client_left_is_taken_out_once() -> None:
    queue: Queue[str] = Queue()
    first, _ = queue.push("first", 1, 5.0, 10)
    queue.push("second", 1, 5.0, 10)
    assert queue.remove(first) and not queue.remove(first)
    assert drained(queue) == ["second"]


def test_tokens_ahead_are_those_of_the_same_and_better_classes() -> None:
    queue: Queue[str] = Queue()
    assert queue.tokens_ahead(5) == 0 and not queue.has_ahead(5)
    for rank, tokens in ((0, 100), (1, 20), (1, 3), (2, 4000)):
        queue.push("x", rank, 5.0, tokens)
    assert [queue.tokens_ahead(r) for r in (0, 1, 2)] == [100, 123, 4123]
    queue.pop_ready(lambda _: True)
    assert queue.tokens_ahead(2) == 4023 and not queue.has_ahead(0) and queue.has_ahead(1)
