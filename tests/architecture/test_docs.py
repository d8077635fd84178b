"""The pages say what the code does: error codes, headers, commands, names, links, metrics, configurations."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gateway.__main__ import VERBS
from gateway.commands.export import FORMATS
from gateway.config.load import load
from gateway.core.routing.record import RECORD_FIELDS
from gateway.core.routing.route import WHY
from gateway.domain.errors import ENDINGS, GatewayError, Reason
from gateway.edges.store.keys import ControlKeys, FeedbackKeys, GroupKeys, LimitKeys
from gateway.wire.headers import DebugTrace, Trace, forwarded, own, returned
from gateway.wire.refusal import refusal
from load.__main__ import _parser as load_parser

HOUSE = next(parent for parent in Path(__file__).resolve().parents if (parent / "pyproject.toml").exists())
PAGES = (
    "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "PRIVACY.md",
    "docs/errors.md", "docs/store.md", "docs/laws.md", "docs/limits.md",
)  # fmt: skip
ENVIRON = {"BIG_KEY": "sk-test"}


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> str:
    """One page's text."""
    return (HOUSE / request.param).read_text()


def sources() -> str:
    """Return the text of all packages, Lua scripts included."""
    files = (f for package in ("gateway", "load", "router_models") for f in (HOUSE / package).rglob("*") if f.suffix in (".py", ".lua"))
    return "\n".join(file.read_text() for file in files)


def shell_lines(text: str) -> Iterator[str]:
    """Yield the commands of a page's code: whole lines of blocks, and what stands between backquotes."""
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL)
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            yield line.removeprefix("$ ").split("    #")[0].split("  #")[0].strip()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def commands(text: str, program: str) -> list[list[str]]:
    """Return the arguments of every call of a program that a page shows."""
    found = []
    for line in shell_lines(text):
        words = line.removeprefix("SLUICE_BENCH=DIR ").removeprefix(".venv/bin/")
        if words.startswith(program + " ") and "..." not in words:
            found.append(shlex.split(words.removeprefix(program)))
    return found


# -- errors ------------------------------------------------------------------------------------------------------------


def test_the_error_page_lists_every_reason_with_its_status_type_and_retry_advice_in_order() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in (HOUSE / "docs/errors.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    listed = [(code.strip("`| "), int(status), kind.strip("`-"), retry.strip("| ")) for code, status, kind, _, retry in rows]
    assert listed == [(r.value, ENDINGS[r].status, ENDINGS[r].type, ENDINGS[r].retry) for r in Reason]
    assert all(len(told) > 10 for _, _, _, told, _ in rows)


@pytest.mark.parametrize("reason", Reason)
def test_what_the_error_page_says_of_headers_is_what_is_sent(reason: Reason) -> None:
    headers = dict(refusal(GatewayError(reason, "why")).headers)
    assert ("retry-after" in headers) == (reason.ending.status in (429, 503)) == ("retry-after-ms" in headers)
    is_shed = reason in (Reason.SHED_OVERLOAD, Reason.SHED_DEADLINE)
    assert (headers.get("x-should-retry") == "false") == (reason.ending.retry.startswith("no") or is_shed)


def test_a_long_wait_turns_the_sdks_retries_off() -> None:
    assert dict(refusal(GatewayError(Reason.LIMIT_USD, "why", retry_after_s=61.0)).headers)["x-should-retry"] == "false"
    assert "x-should-retry" not in dict(refusal(GatewayError(Reason.LIMIT_USD, "why", retry_after_s=59.0)).headers)


# -- headers -----------------------------------------------------------------------------------------------------------


def test_every_header_that_a_page_names_is_set_or_read_by_the_code_and_none_of_ours_is_left_out() -> None:
    trace, debug = Trace("id", "m", "score", 1, 0.0, "theirs"), DebugTrace(0.1, 0.2, "b", 0.3, 4)
    sent = {name for name, _ in own(trace, debug)} | {name for name, _ in returned([("x-request-id", "up")], False)}
    sent |= {name for reason in Reason for name, _ in refusal(GatewayError(reason, "why")).headers}
    read = set(re.findall(r'headers\.get\("(x-[a-z-]+)"', sources()))
    named = {name for page in PAGES for name in re.findall(r"`(x-(?:sluice|request|client|upstream|should)-[a-z-]+[a-z])`", text_of(page))}
    assert named - sent - read == set()
    assert {name for name in sent | read if name.startswith("x-sluice-")} <= set(re.findall(r"x-sluice-[a-z-]+[a-z]", text_of("README.md")))


def test_what_privacy_says_is_never_forwarded_is_not() -> None:
    named = re.search(r"\*\*never forwarded\*\*(.*?)From a backend", text_of("PRIVACY.md"), re.DOTALL)
    assert named is not None
    names = set(re.findall(r"`([a-z0-9-]+)`", named.group(1))) | {"x-sluice-class", "x-slo-ttft-ms", "proxy-authorization", "x-hop"}
    assert {"authorization", "x-api-key", "cookie", "connection", "host"} <= names
    kept = dict(forwarded([*((name, "theirs") for name in names if name != "connection"), ("connection", "x-hop")], "req_ours"))
    assert kept == {"accept-encoding": "identity", "x-request-id": "req_ours"}


def test_what_privacy_says_is_not_passed_on_from_a_backend_is_not() -> None:
    named = re.search(r"From a backend's answer (.*?) are not passed on", text_of("PRIVACY.md"), re.DOTALL)
    assert named is not None
    names = re.findall(r"`([a-z-]+)`", named.group(1))
    assert len(names) >= 5 and returned([(name, "x") for name in names], False) == []


def test_privacy_lists_every_field_of_the_decision_log_and_every_key_of_the_store() -> None:
    text = text_of("PRIVACY.md")
    assert [f for f in RECORD_FIELDS if f"`{f}`" not in text] == []
    group = GroupKeys("fleet")
    keys = {group.slot(10, 1), group.sequence("r"), *group.touched, FeedbackKeys.day(1), ControlKeys.published, ControlKeys.lease}
    keys |= {ControlKeys.fence, ControlKeys.overrides, ControlKeys.audit}
    kinds = {re.sub(r"^(sluice:1:\{\w+\}:(?:[a-z]+)?).*", r"\1", key) for key in keys}
    assert all(f"`{key}`" in text or f"`{key.split('}')[1]}`" in text for key in LimitKeys("<tenant>").of("<limit>"))
    for kind in kinds:
        room, _, what = kind.rpartition(":")
        assert room in text and f":{what}" in text, kind


def test_readme_explains_every_reason_of_a_choice_that_can_be_seen() -> None:
    told = text_of("README.md")
    assert [why for why in WHY if why not in ("observe", "fallback") and f"`{why}`" not in told] == []


# -- commands ----------------------------------------------------------------------------------------------------------


def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    named = {line.split()[1] for line in shell_lines(page) if line.startswith("make ")}
    assert named <= targets


def test_every_sluice_command_that_a_page_shows_can_be_parsed(page: str) -> None:
    for words in commands(page, "sluice"):
        verb, *rest = words
        assert verb in VERBS
        parser = argparse.ArgumentParser(exit_on_error=False)
        VERBS[verb].add_arguments(parser)
        if rest:
            parser.parse_args(rest)


def test_readme_shows_every_verb_and_every_export() -> None:
    shown = [words[0] for words in commands(text_of("README.md"), "sluice")]
    assert set(VERBS) <= set(shown)
    assert set(FORMATS) == {words[1] for words in commands(text_of("README.md"), "sluice") if words[0] == "export"}


def test_every_load_command_that_a_page_shows_can_be_parsed_and_its_scenario_exists(page: str) -> None:
    for words in commands(page, "python -m load"):
        args = load_parser().parse_args(words if len(words) > 1 else [*words, "--help"] if words == ["help"] else pad(words))
        scenario = getattr(args, "scenario", None)
        assert scenario is None or str(scenario) == "SCENARIO" or (HOUSE / scenario).exists()


def pad(words: list[str]) -> list[str]:
    """Complete a bare verb, as prose names it."""
    return words + {"run": ["SCENARIO"], "compare": ["a", "b"], "report": ["a"]}.get(words[0], [])


def test_the_commands_of_router_models_exist(page: str) -> None:
    modules = {file.stem for file in (HOUSE / "router_models/commands").glob("*.py")}
    assert {words[0] for words in commands(page, "python -m router_models")} <= modules


# -- names, links, metrics ---------------------------------------------------------------------------------------------


def test_every_link_leads_to_a_file() -> None:
    for name in PAGES:
        folder = (HOUSE / name).parent
        targets = re.findall(r"\]\(([^)#]+)\)", text_of(name))
        missing = [t for t in targets if not t.startswith("https://") and not (folder / t).exists()]
        assert not missing, f"{name}: {missing}"


def test_the_house_that_architecture_draws_is_the_one_that_stands() -> None:
    drawing = re.search(r"```\n(gateway/.*?)```", text_of("ARCHITECTURE.md"), re.DOTALL)
    assert drawing is not None
    path: list[str] = []
    for line in drawing.group(1).splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        path = [*path[:depth], name.rstrip("/")]
        assert (HOUSE.joinpath(*path)).exists(), "/".join(path)
    rooms = {f.name for f in (HOUSE / "gateway").iterdir() if f.name not in ("__init__.py", "__pycache__")}
    assert {room for room in rooms if f"  {room}" not in drawing.group(1)} == set()


def test_every_function_that_architecture_names_exists() -> None:
    text, code = text_of("ARCHITECTURE.md"), sources()
    names = set(re.findall(r"`(?:[A-Za-z_.]+\.)?([A-Za-z_]{3,})`", text.split("## Walk 1")[1].split("## Where state lives")[0]))
    words = {"state", "counts", "flush", "publish", "lua", "sluice_config_errors", "fallback_strong_share"}
    missing = [name for name in sorted(names - words) if not re.search(rf"\b(?:def|class) {name}\b", code)]
    assert not missing


def test_every_metric_that_a_page_names_exists(page: str) -> None:
    known = text_of("gateway/edges/telemetry/metrics.py")
    named = set(re.findall(r"`(sluice_[a-z_]+)`", page)) - {"sluice_admin"}
    assert [name for name in named if f'"{name}"' not in known] == []


# -- configurations ----------------------------------------------------------------------------------------------------


def test_the_configuration_on_the_readme_loads() -> None:
    block = re.search(r"```yaml\n(.*?)```", text_of("README.md"), re.DOTALL)
    assert block is not None
    config = load("README.md", ENVIRON, block.group(1).encode())
    assert list(config.catalog.routes) == ["auto"]


def test_the_containers_configurations_load_and_fit_their_surroundings() -> None:
    config = load(HOUSE / "docker/sluice.yaml", {}, read_secret=lambda _: b"token")
    services = yaml.safe_load(text_of("docker/compose.yaml"))["services"]
    hosts = {b.url.split("/")[2].split(":")[0] for model in config.catalog.models.values() for b in model.backends}
    assert hosts <= set(services) and "redis" in services
    assert "/run/secrets/admin-token" in config.secret_files and services["gateway"]["secrets"] == ["admin-token"]
    seconds = int(services["gateway"]["stop_grace_period"].removesuffix("s"))
    assert seconds > config.server.drain
    for service in ("strong", "weak"):
        assert services[service]["entrypoint"][:3] == ["python", "-m", "load.backend"]


def test_the_rules_that_prometheus_is_given_are_those_of_the_containers_configuration() -> None:
    config = load(HOUSE / "docker/sluice.yaml", {}, read_secret=lambda _: b"token")
    exempt = [c.name for c in config.catalog.classes.values() if c.exempts_sheds]
    assert text_of("docker/prometheus/rules.yaml") == FORMATS["rules"](config.slos, exempt)
    assert yaml.safe_load(text_of("docker/prometheus/prometheus.yaml"))["rule_files"] == ["rules.yaml"]


def test_the_kubernetes_deployment_fits_its_configuration() -> None:
    documents = {d["kind"]: d for d in yaml.safe_load_all(text_of("docker/kubernetes/sluice.yaml"))}
    pod = documents["Deployment"]["spec"]["template"]
    container = pod["spec"]["containers"][0]
    secrets = {"store-url": b"redis://redis:6379/0"}
    config = load("c", {}, documents["ConfigMap"]["data"]["sluice.yaml"].encode(), lambda f: secrets.get(Path(f).name, b"secret"))
    mounts = {m["mountPath"] for m in container["volumeMounts"]}
    assert {str(Path(f).parent) for f in config.secret_files} | {str(Path(config.decision_log.path or "").parent)} <= mounts
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert ports == {"http": int(config.server.listen.split(":")[1]), "admin": int(config.admin.listen.split(":")[1])}
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/readiness"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/liveness"
    assert documents["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert documents["Deployment"]["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["terminationGracePeriodSeconds"] > config.server.drain


def test_the_image_installs_by_hash_and_does_not_run_as_root() -> None:
    text = text_of("docker/Dockerfile")
    copied = set(re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE))
    assert all((HOUSE / name).exists() for name in copied)
    assert set(re.findall(r"^!(\S+)", text_of("docker/Dockerfile.dockerignore"), re.MULTILINE)) == copied
    assert "--require-hashes" in text and re.search(r"^USER sluice$", text, re.MULTILINE)
    assert "/health/liveness" in text and len(re.findall(r"^FROM \${BASE}", text, re.MULTILINE)) == 2


def text_of(name: str) -> str:
    """Return a file's text."""
    return (HOUSE / name).read_text()
