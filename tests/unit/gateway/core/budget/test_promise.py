"""What was promised to a request."""

from typing import Literal

from gateway.core.budget.promise import Promise, promise_of
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.coherence import Coherence
from gateway.core.budget.slis.itl import Itl
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Bin, Ttft
from gateway.core.budget.slo import DAY_S, SloSpec, build

SLOS = build(
    [
        SloSpec("availability", "availability", Availability.Options(), 0.999, DAY_S),
        SloSpec("first-token", "ttft", Ttft.Options(2.0), 0.95, DAY_S),
        SloSpec("code", "ttft", Ttft.Options(8.0, (Bin(1000, 0.5), Bin(4000, 3.0))), 0.95, DAY_S, route="code"),
        SloSpec("chat", "ttft", Ttft.Options(1.0), 0.95, DAY_S, route="chat"),
    ]
)


def test_nothing_is_promised_where_no_slo_applies() -> None:
    assert promise_of(SLOS[:1], "auto") == Promise()
    assert Promise().first_token_s(10) is None and not Promise().is_binned


def test_of_several_limits_the_strictest_counts_and_other_routes_are_left_alone() -> None:
    assert promise_of(SLOS, "auto").first_token_s(100_000) == 2.0
    assert promise_of(SLOS, "chat").first_token_s(1) == 1.0


def test_with_bins_the_limit_is_that_of_the_prompts_length() -> None:
    promise = promise_of(SLOS, "code")
    assert promise.is_binned
    assert [promise.first_token_s(n) for n in (1, 1000, 1001, 4000, 4001)] == [0.5, 0.5, 2.0, 2.0, 2.0]


def test_expected_timelines_are_watched_once_each() -> None:
    fleet, chat, same = Itl.Options(1.0, 10.0, 2.0), Itl.Options(0.5, 20.0, 1.0), Itl.Options(1.0, 10.0, 5.0, 0.8)
    slos = build(
        [
            SloSpec("pace", "itl", fleet, 0.95, DAY_S),
            SloSpec("pace-loose", "itl", same, 0.99, DAY_S),
            SloSpec("pace-chat", "itl", chat, 0.95, DAY_S, route="chat"),
        ]
    )
    assert promise_of(slos, "chat").timelines == ((1.0, 10.0), (0.5, 20.0))
    assert promise_of(slos, "auto").timelines == ((1.0, 10.0),) and len(promise_of(slos, "auto").paces) == 2


def test_conversations_are_kept_and_forms_looked_at_only_where_it_was_promised() -> None:
    slos = build([SloSpec("coherence", "coherence", Coherence.Options(), 0.95, DAY_S, route="chat")])
    chat, auto = promise_of(slos, "chat"), promise_of(slos, "auto")
    assert (chat.keeps_conversations, chat.looks_at_form) == (True, True) and auto == Promise()


def test_whose_verdicts_count_says_what_must_be_looked_at() -> None:
    def promised(source: Literal["verdicts", "validity"]) -> Promise:
        return promise_of(build([SloSpec("quality", "quality", Quality.Options(source), 0.9, DAY_S)]), "auto")

    assert (promised("verdicts").awaits_verdicts, promised("verdicts").looks_at_form) == (True, False)
    assert (promised("validity").awaits_verdicts, promised("validity").looks_at_form) == (False, True)
