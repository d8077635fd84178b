"""Tests of the complete configuration as text."""

from collections.abc import Callable

import pytest
import yaml

from gateway.config.decode import decode
from gateway.config.effective import as_yaml, hidden, write_section
from gateway.config.load import Config, load
from gateway.domain.catalog import Secret

Configure = Callable[..., Config]


def test_every_default_is_written_out(configure: Configure) -> None:
    written = yaml.safe_load(configure().effective())
    assert written["server"]["body_max"] == "10MiB"
    assert written["upstream"]["ttft_timeout"] == "1m"
    assert written["pricing"] == {"law": {"kind": "shadow_price"}, "priority": [], "tick": "5s"}
    assert written["store"]["url"] == "embedded"
    assert written["tenants"][0] == {
        "name": "open",
        "keys": [],
        "class": "standard",
        "limits": {"rpm": None, "tpm": None, "usd_per_day": None},
        "key_limits": [],
        "model_limits": [],
        "may": [],
    }


def test_what_is_written_out_means_the_same_and_is_complete(configure: Configure) -> None:
    more = "slos: [{name: a, sli: {kind: cost, usd: 5, forecast_hourly: [1, 2.5]}, period: 8h, for: {route: auto}}]\n"
    config = configure(more)
    again = load("again.yaml", {}, config.effective().encode())
    assert (again.catalog, again.slos, again.pricing, again.server, again.hash) == (
        config.catalog,
        config.slos,
        config.pricing,
        config.server,
        config.hash,
    )
    assert again.effective() == config.effective()


def test_no_secret_is_shown_however_it_came_in(configure: Configure, minimal: str) -> None:
    base = minimal.replace("engine: vllm", 'engine: vllm, api_key: "${KEY}", labels: {team: "${KEY}"}')
    config = configure("admin: {token: literal-hunter2}\nstore: {url: 'redis://u:hunter2@h:1/0'}\n", {"KEY": "env-hunter2"}, base)
    text = config.effective()
    assert "hunter2" not in text
    written = yaml.safe_load(text)
    assert written["models"][0]["backends"][0]["api_key"] == "***"
    assert written["models"][0]["backends"][0]["labels"] == {"team": "${KEY}"}
    assert (written["admin"]["token"], written["store"]["url"]) == ("***", "redis://***")


@pytest.mark.parametrize(
    ("secret", "shown"), [("sk-1", "***"), ("rediss://u:p@h", "rediss://***"), ("Pass word://x", "***"), ("memory", "***")]
)
def test_of_a_secret_only_a_urls_scheme_is_shown(secret: str, shown: str) -> None:
    assert hidden(Secret(secret)) == shown


@pytest.mark.parametrize("word", ["no", "1e3", "0777", "1:30", "null", "5", "true", "1_000", "a: b", "$${X}", "*a", "ünï", ""])
def test_text_that_could_be_read_as_something_else_is_quoted(configure: Configure, minimal: str, word: str) -> None:
    config = configure(base=minimal.replace("engine: vllm", f'engine: vllm, labels: {{x: "{word}"}}'))
    document = decode(config.effective().encode())
    assert document.problems == []
    assert document.data["models"][0]["backends"][0]["labels"]["x"] == word
    assert config.catalog.models["strong"].backends[0].labels["x"] == word.replace("$${", "${")


def test_the_hash_is_of_the_meaning(configure: Configure, minimal: str) -> None:
    base_hash = configure("pricing: {tick: 60s}\n").hash
    assert configure("# a remark\npricing:\n  tick: 1m\n").hash == base_hash
    assert configure("pricing: {tick: 61s}\n").hash != base_hash
    assert configure("pricing: {tick: 60s}\n", base=minimal.replace("[strong, weak]", "[weak, strong]")).hash != base_hash


def test_the_hash_does_not_depend_on_the_order_of_keys(configure: Configure, minimal: str) -> None:
    labels = ("{a: x, b: y}", "{b: y, a: x}")
    assert len({configure(base=minimal.replace("engine: vllm", f"engine: vllm, labels: {text}")).hash for text in labels}) == 1


def test_the_hash_does_not_depend_on_secrets(configure: Configure) -> None:
    assert len({configure("admin: {token: '${T}'}\n", {"T": token}).hash for token in ("one", "two")}) == 1


def test_the_price_hash_is_of_what_prices_are_made_from(configure: Configure, minimal: str) -> None:
    base = configure()
    elsewhere = configure(
        "server: {listen: '0.0.0.0:9'}\nstore: {directory: /x}\n",
        base=minimal.replace("http://a:8000", "http://z:1").replace("engine: vllm", "engine: openai"),
    )
    assert (elsewhere.hash != base.hash, elsewhere.price_hash == base.price_hash) == (True, True)
    for changed in (
        configure("pricing: {tick: 61s}\n"),
        configure("mode: observe\n"),
        configure("slos: [{name: a, sli: {kind: cost, usd: 5}, period: 8h}]\n"),
        configure(base=minimal.replace("output_usd_per_mtok: 10", "output_usd_per_mtok: 11")),
        configure(base=minimal.replace("[strong, weak]", "[weak, strong]")),
    ):
        assert changed.price_hash != base.price_hash


def test_sections_are_written_without_aliases(configure: Configure) -> None:
    sections = configure().sections
    assert "&" not in as_yaml(sections) and "*" not in as_yaml(sections)
    assert list(write_section(sections))[:3] == ["models", "routes", "mode"]
