"""curl, as operators try a gateway out, and the corners of HTTP that it can be made to visit."""

import json
import shutil
import subprocess
import time
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
AUTH = ("-H", "authorization: Bearer sk-full")
JSON = ("-H", "content-type: application/json")


def curl(*words: str) -> str:
    return subprocess.run(["curl", "-sS", "--max-time", "20", *words], capture_output=True, text=True, check=True).stdout


def body(**more: Any) -> str:
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3, **more})


def status_and_headers(*words: str) -> tuple[int, dict[str, str]]:
    head = curl("-o", "/dev/null", "-D", "-", *words).replace("\r\n", "\n")
    first, *lines = head.strip().split("\n\n")[-1].splitlines()
    return int(first.split()[1]), {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}


def test_the_line_of_the_readme_works(house: Any) -> None:
    answer = json.loads(curl(f"{house.base_url}/chat/completions", *AUTH, *JSON, "-d", body()))
    assert answer["object"] == "chat.completion"


def test_curl_n_shows_a_stream_line_by_line_as_it_is_made(house: Any) -> None:
    command = ["curl", "-sSN", f"{house.base_url}/chat/completions", *AUTH, *JSON, "-d", body(model="weak", stream=True, max_tokens=80)]
    arrived = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip():
                arrived.append((time.monotonic(), line.strip()))
    assert arrived[-1][1] == "data: [DONE]"
    assert len(arrived) == 83, "80 tokens, first and last event, [DONE]"
    took_s = arrived[-1][0] - arrived[0][0]
    engine_s = 79 * 0.006  # an H100 of the engine model needs about 6 ms for a step of one sequence
    assert took_s > engine_s / 2, "the first line came while the rest was being made"
    assert len({round(at_s, 2) for at_s, _ in arrived}) > 15, "not in one lump"


def test_a_curl_that_is_killed_mid_stream_stops_the_backend_within_200_ms(house: Any) -> None:
    before = house.weak.state["cancelled"]
    command = ["curl", "-sSN", f"{house.base_url}/chat/completions", *AUTH, *JSON, "-d", body(model="weak", stream=True, max_tokens=4000)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        left_s = time.monotonic()
        while house.weak.state["cancelled"] == before:
            assert time.monotonic() - left_s < 0.2
            time.sleep(0.005)


def test_a_connection_is_kept_for_the_next_call_also_after_a_refusal(house: Any) -> None:
    url, out = f"{house.base_url}/models", ("-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n")
    said = curl(
        *AUTH,
        *out,
        url,
        "--next",
        *AUTH,
        *out,
        f"{url}/none",
        "--next",
        "-H",
        "authorization: Bearer no",
        *out,
        url,
        "--next",
        *AUTH,
        *out,
        url,
    )
    assert said.split("\n")[:4] == ["200 1", "404 0", "401 0", "200 0"]


def test_head_has_the_headers_of_get_and_no_body(house: Any) -> None:
    assert status_and_headers("-I", f"{house.url}/health") == status_and_headers("-I", f"{house.url}/health/readiness")
    status, headers = status_and_headers("-I", *AUTH, f"{house.base_url}/models")
    assert status == 200
    assert int(headers["content-length"]) == len(curl(*AUTH, f"{house.base_url}/models").encode())


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/models", "GET"),
        ("DELETE", "/v1/models/auto", "GET"),
        ("POST", "/health", "GET"),
        ("TRACE", "/v1/embeddings", "POST"),
    ],
)
def test_a_wrong_method_is_405_and_says_which_is_right(house: Any, method: str, path: str, allowed: str) -> None:
    status, headers = status_and_headers("-X", method, *AUTH, f"{house.url}{path}")
    assert (status, headers["allow"]) == (405, allowed)
    assert headers["content-type"] == "application/json"


def test_an_unknown_path_is_404_with_the_four_keys(house: Any) -> None:
    error = json.loads(curl(*AUTH, f"{house.base_url}/assistants"))["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["code"] == "unknown_path"


def test_the_admin_port_is_not_on_the_data_port(house: Any) -> None:
    for path in ("/metrics", "/admin/state", "/"):
        assert status_and_headers(f"{house.url}{path}")[0] == 404


def test_a_large_body_is_announced_with_expect_and_taken(house: Any, tmp_path: Any) -> None:
    large = tmp_path / "large.json"
    large.write_text(body(user="u" * 1_200_000))
    status, _ = status_and_headers(
        f"{house.base_url}/chat/completions", *AUTH, *JSON, "-H", "Expect: 100-continue", "--data-binary", f"@{large}"
    )
    assert status == 200


def test_a_body_beyond_the_limit_is_413(house: Any, tmp_path: Any) -> None:
    huge = tmp_path / "huge.json"
    huge.write_bytes(b'{"model": "auto", "x": "' + b"x" * 11_000_000 + b'"}')
    status, headers = status_and_headers(f"{house.base_url}/chat/completions", *AUTH, *JSON, "--data-binary", f"@{huge}")
    assert status == 413
    assert headers["connection"] == "close"


def test_a_chunked_body_is_understood_and_a_compressed_one_refused(house: Any) -> None:
    url = f"{house.base_url}/chat/completions"
    assert status_and_headers(url, *AUTH, *JSON, "-H", "transfer-encoding: chunked", "-d", body())[0] == 200
    assert status_and_headers(url, *AUTH, *JSON, "-H", "content-encoding: gzip", "-d", body())[0] == 400


def test_http_1_0_gets_a_stream_that_ends_with_the_connection(house: Any) -> None:
    said = curl("-0", "-i", f"{house.base_url}/chat/completions", *AUTH, *JSON, "-d", body(stream=True))
    head, _, rest = said.partition("\n\n") if "\r\n" not in said else said.partition("\r\n\r\n")
    assert "transfer-encoding" not in head.lower()
    assert rest.strip().endswith("data: [DONE]")


def test_metrics_are_readable_where_they_belong(house: Any) -> None:
    assert "sluice_" in curl("-H", "authorization: Bearer admin-token-of-a-test", f"{house.admin}/metrics")
