"""Every request that enters the schedule leaves it exactly once, and classes are never inverted."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.scheduling.schedule import Schedule
from gateway.domain.decision import Shed

STEPS = st.lists(
    st.tuples(st.sampled_from(["admit", "pop", "refused", "leave"]), st.integers(0, 2), st.floats(0.0, 3.0), st.booleans()), max_size=80
)


@given(STEPS)
def test_each_request_is_sent_refused_or_gone_once(steps: list[tuple[str, int, float, bool]]) -> None:
    schedule: Schedule[int] = Schedule(entries_max=4)
    now_s, waits, out = 0.0, dict[int, int](), set[int]()

    def leaves(item: int) -> None:
        del waits[item]
        assert item not in out
        out.add(item)

    for i, (kind, rank, later_s, has_room) in enumerate(steps):
        now_s += later_s
        delay_s = 0.1 if has_room else None
        if kind == "admit":
            verdict = schedule.admit(i, "m", rank, now_s + 5.0, 100, delay_s, 1000.0, now_s, 0.5)
            if verdict is True:
                assert not any(r <= rank for r in waits.values()) or schedule.waiting > len(schedule.models())
            elif not isinstance(verdict, Shed):
                waits[i] = rank
        elif kind == "pop" and (ready := schedule.pop_ready("m", now_s, lambda _, d=delay_s: d)) is not None:  # type: ignore[misc]
            leaves(ready[0])
        elif kind == "refused":
            for item, _ in schedule.refused(now_s):
                leaves(item)
        elif kind == "leave" and waits:
            item = next(iter(waits))
            assert schedule.remove(item, now_s)
            leaves(item)
        assert schedule.waiting == len(waits)
