import pytest

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.limit import LimitKind
from gateway.wire.headers import DebugTrace, Trace, forwarded, is_broken, is_encoded, own, rate_limits, returned, without_rate_limits


def test_what_the_client_sends_goes_on_in_its_order_and_spelling():
    sent = [
        ("Content-Type", "application/json"),
        ("User-Agent", "x/1"),
        ("X-Stainless-Lang", "python"),
        ("traceparent", "00-1"),
        ("X-A", "1"),
        ("x-a", "2"),
    ]
    assert forwarded(sent, "id-1") == [*sent, ("accept-encoding", "identity"), ("x-request-id", "id-1")]


@pytest.mark.parametrize(
    "name",
    ["Host", "Content-Length", "Authorization", "X-Api-Key", "api-key", "Cookie", "Connection", "Keep-Alive",
     "TE", "Trailer", "Transfer-Encoding", "Upgrade",
     "Proxy-Authorization", "Proxy-Connection", "Expect", "X-Sluice-No-Downgrade",
     "x-slo-ttft-ms", "OpenAI-Organization", "OpenAI-Project"],
)  # fmt: skip
def test_keys_hints_and_what_belongs_to_the_connection_stay_here(name: str):
    kept = forwarded([(name, "secret"), ("accept", "*/*")], "id")
    assert [key for key, _ in kept] == ["accept", "accept-encoding", "x-request-id"]


def test_headers_named_by_connection_stay_here_in_both_directions():
    headers = [("Connection", "close, X-Hop"), ("x-hop", "1"), ("connection", "x-other"), ("X-Other", "2"), ("x-stay", "3")]
    assert forwarded(headers, "id")[0] == ("x-stay", "3")
    assert returned(headers, False) == [("x-stay", "3")]


def test_encoding_and_request_id_are_replaced_and_not_doubled():
    kept = forwarded([("Accept-Encoding", "gzip, br"), ("X-Request-ID", "theirs")], "ours")
    assert kept == [("accept-encoding", "identity"), ("x-request-id", "ours")]


@pytest.mark.parametrize("text", ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\0b"])
def test_a_line_break_in_a_header_is_refused_on_the_way_in_and_left_out_on_the_way_back(text: str):
    for header in (("x-a", text), (text, "x")):
        with pytest.raises(GatewayError) as caught:
            forwarded([header], "id")
        assert caught.value.reason is Reason.AMBIGUOUS_REQUEST
        assert returned([header, ("x-b", "1")], False) == [("x-b", "1")]
    assert is_broken(text)
    assert not is_broken("plain\ttext é")


def test_a_backends_answer_keeps_what_clients_live_by():
    sent = [
        ("Content-Type", "text/event-stream"),
        ("Retry-After", "7"),
        ("openai-processing-ms", "12"),
        ("x-ratelimit-remaining-requests", "3"),
        ("Content-Encoding", "gzip"),
    ]
    assert returned(sent, False) == sent
    assert returned([("X-Request-Id", "theirs")], False) == [("x-upstream-request-id", "theirs")]


@pytest.mark.parametrize(
    "name",
    [
        "Set-Cookie",
        "Server",
        "Date",
        "Transfer-Encoding",
        "Content-Length",
        "Alt-Svc",
        "WWW-Authenticate",
        "Strict-Transport-Security",
        "x-sluice-model",
    ],
)
def test_what_speaks_for_the_backends_own_host_stays_here(name: str):
    assert returned([(name, "x")], False) == []


def test_a_changed_body_loses_what_described_the_old_one():
    assert returned([("Content-Type", "text/html"), ("Content-Encoding", "gzip"), ("ETag", '"1"'), ("retry-after", "3")], True) == [
        ("retry-after", "3")
    ]


def test_our_own_headers_tell_the_way_of_a_request():
    told = own(Trace("id-1", "weak", "score", 2, 0.0012345, "client-9"))
    assert dict(told) == {
        "x-request-id": "id-1",
        "x-sluice-model": "weak",
        "x-sluice-reason": "score",
        "x-sluice-attempts": "2",
        "x-sluice-overhead-ms": "1.23",
        "x-client-request-id": "client-9",
    }


def test_what_is_not_known_is_left_out():
    assert {name for name, _ in own(Trace("id", None, "shed_overload", 0, 0.0))} == {
        "x-request-id",
        "x-sluice-reason",
        "x-sluice-attempts",
        "x-sluice-overhead-ms",
    }
    assert len(own(Trace("id", None, "r", 0, 0.0), DebugTrace(None, None, None, None, None))) == 4


def test_the_right_to_debug_shows_the_numbers():
    told = dict(own(Trace("id", "m", "r", 1, 0.0), DebugTrace(0.25, 0.6, "m@host:1", 0.00001234, 17)))
    assert (told["x-sluice-threshold"], told["x-sluice-win-rate"], told["x-sluice-backend"]) == ("0.2500", "0.6000", "m@host:1")
    assert (told["x-sluice-cost-usd"], told["x-sluice-prices-version"]) == ("0.000012340", "17")


@pytest.mark.parametrize(
    ("text", "sent"),
    [("a\r\nx-evil: 1", "a%0D%0Ax-evil:%201"), ("模型", "%E6%A8%A1%E5%9E%8B"), ("with space", "with space"), ("\ud800", "?")],
)
def test_no_value_of_ours_can_break_a_line(text: str, sent: str):
    assert dict(own(Trace("id", text, "r", 1, 0.0)))["x-sluice-model"] == sent


def test_an_endless_request_id_of_a_client_is_cut():
    assert len(dict(own(Trace("id", None, "r", 0, 0.0, "x" * 100_000)))["x-client-request-id"]) == 256


def test_limits_are_told_as_openai_tells_them_and_dollars_are_not():
    standing = [(LimitKind.REQUESTS, 60, 59, 1.0), (LimitKind.TOKENS, 150_000, 149_984, 0.0064), (LimitKind.USD, 10**9, 5, 9.0)]
    assert rate_limits(standing) == [
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-reset-requests", "1s"),
        ("x-ratelimit-limit-tokens", "150000"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-tokens", "7ms"),
    ]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0ms"),
        (0.999, "999ms"),
        (7.66, "7.66s"),
        (59.9999, "1m0s"),
        (360.0, "6m0s"),
        (61.5, "1m1.5s"),
        (3600.0, "1h0m0s"),
        (-1.0, "0ms"),
    ],
)
def test_durations_are_written_with_their_units(seconds: float, told: str):
    assert rate_limits([(LimitKind.REQUESTS, 1, 0, seconds)])[2][1] == told


def test_of_a_backends_own_limits_nothing_is_left_where_ours_are_told():
    assert without_rate_limits([("X-RateLimit-Limit-Requests", "9"), ("retry-after", "1")]) == [("retry-after", "1")]


def test_identity_is_no_encoding() -> None:
    assert is_encoded([("Content-Encoding", "gzip")]) and not is_encoded([("content-encoding", "identity")]) and not is_encoded([])
