"""Sent, queued or refused: one model, 1,000 tokens per second."""

from gateway.core.scheduling.schedule import Schedule
from gateway.domain.decision import Shed
from gateway.domain.errors import Reason


def admit(
    s: Schedule[str], item: str, rank: int = 1, within_s: float = 30.0, tokens: int = 1000, delay_s: float | None = None, now_s: float = 0.0
) -> bool | Shed:
    return s.admit(item, "weak", rank, now_s + within_s, tokens, delay_s, 1000.0, now_s, 0.5)


def test_room_and_nobody_waiting_means_now() -> None:
    schedule: Schedule[str] = Schedule()
    assert admit(schedule, "a", delay_s=0.3) is True and schedule.waiting == 0


def test_a_delay_in_the_engine_beyond_the_deadline_is_refused_and_no_delay_never_is() -> None:
    schedule: Schedule[str] = Schedule()
    shed = admit(schedule, "a", within_s=2.0, delay_s=2.5)
    assert isinstance(shed, Shed) and shed.reason is Reason.SHED_DEADLINE
    assert admit(schedule, "b", within_s=-1.0, delay_s=0.0) is True


def test_a_newcomer_waits_behind_its_own_class_and_passes_a_lower_one() -> None:
    schedule: Schedule[str] = Schedule()
    assert admit(schedule, "standard") is False
    assert admit(schedule, "standard too", delay_s=0.1) is False
    assert admit(schedule, "critical", rank=0, delay_s=0.1) is True
    assert schedule.models() == ["weak"] and schedule.waiting == 2


def test_a_wait_that_the_deadline_does_not_allow_is_refused_at_once() -> None:
    schedule: Schedule[str] = Schedule()
    for i in range(10):
        assert admit(schedule, f"s{i}", within_s=60.0) is False
    shed = admit(schedule, "hurried", within_s=5.0)
    assert isinstance(shed, Shed) and shed.reason is Reason.SHED_DEADLINE and shed.retry_after_s == 6.0
    assert admit(schedule, "critical", rank=0, within_s=2.0) is False
    assert [schedule.estimate_s("weak", rank, 0) for rank in (0, 1)] == [1.0, 11.0]
    assert schedule.estimate_s("strong", 0, 0) == 0.0


def test_requests_leave_in_order_one_per_call_and_only_while_there_is_room() -> None:
    schedule: Schedule[str] = Schedule()
    for item, rank in (("standard", 1), ("batch", 2), ("critical", 0)):
        admit(schedule, item, rank=rank)
    assert schedule.pop_ready("weak", 1.0, lambda _: None) is None
    assert schedule.pop_ready("weak", 1.0, lambda _: 0.2) == ("critical", None)
    assert schedule.pop_ready("weak", 2.0, lambda _: 0.2) == ("standard", None)
    assert schedule.pop_ready("weak", 3.0, lambda _: 0.2) == ("batch", None)
    assert schedule.pop_ready("weak", 4.0, lambda _: 0.2) is None and schedule.waiting == 0


def test_a_head_that_would_be_late_in_the_engine_is_refused_instead_of_sent() -> None:
    schedule: Schedule[str] = Schedule()
    admit(schedule, "a", within_s=2.0)
    ready = schedule.pop_ready("weak", 1.5, lambda _: 0.6)
    assert ready is not None and ready[0] == "a" and ready[1] is not None and ready[1].reason is Reason.SHED_DEADLINE


def test_what_waits_past_its_deadline_is_refused_with_a_time_to_come_back() -> None:
    schedule: Schedule[str] = Schedule()
    admit(schedule, "short", within_s=2.0)
    admit(schedule, "long", within_s=20.0)
    assert schedule.refused(2.0) == []
    ((item, shed),) = schedule.refused(2.1)
    assert item == "short" and shed.reason is Reason.SHED_DEADLINE and shed.retry_after_s == 1.0
    assert schedule.waiting == 1


def test_a_full_queue_sheds_the_lowest_class_first_and_says_so_once() -> None:
    schedule: Schedule[str] = Schedule(entries_max=2)
    admit(schedule, "batch", rank=2)
    admit(schedule, "standard")
    assert admit(schedule, "critical", rank=0) is False
    ((item, shed),) = schedule.refused(0.1)
    assert item == "batch" and shed.reason is Reason.SHED_OVERLOAD
    assert schedule.refused(0.2) == []
    refused = admit(schedule, "batch again", rank=2)
    assert isinstance(refused, Shed) and refused.reason is Reason.SHED_OVERLOAD
    assert schedule.refused(0.3) == [] and schedule.waiting == 2


def test_a_client_that_leaves_is_forgotten_queued_or_evicted() -> None:
    schedule: Schedule[str] = Schedule(entries_max=1)
    admit(schedule, "batch", rank=2)
    admit(schedule, "critical", rank=0)
    assert schedule.remove("batch", 1.0) and schedule.refused(1.0) == []
    assert schedule.remove("critical", 1.0) and not schedule.remove("critical", 1.0) and not schedule.remove("never seen", 1.0)
    assert schedule.waiting == 0


def test_the_wait_estimate_learns_from_how_fast_the_queue_moves() -> None:
    schedule: Schedule[str] = Schedule()
    for i in range(100):
        schedule.admit(f"r{i}", "weak", 1, 1e9, 1000, None, 10_000.0, 0.0, 0.5)
    before_s = schedule.estimate_s("weak", 1, 0)
    for i in range(50):
        schedule.pop_ready("weak", float(i + 1), lambda _: 0.0)
    assert before_s == 10.0 and 20.0 < schedule.estimate_s("weak", 1, 0) < 50.0


def test_a_config_swap_keeps_queues_in_which_somebody_waits() -> None:
    schedule: Schedule[str] = Schedule()
    admit(schedule, "a")
    schedule.retain([])
    assert schedule.models() == ["weak"]
    schedule.remove("a", 1.0)
    schedule.retain([])
    assert schedule.models() == []
