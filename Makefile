# Every chore has one verb. `make run` and `make test` set up all they need on a fresh machine.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin

.PHONY: run test check check-static bench docs format clean

$(BIN)/dulcimer: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[node]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(BIN)/dulcimer
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

## Serve on 127.0.0.1:11112 (options: make run ARGS="--port 4242")
run: $(BIN)/dulcimer
	$(BIN)/dulcimer serve $(ARGS)

## The whole suite, with the peers it talks to
test: $(VENV)/.dev
	@sh tools/install-peers.sh
	$(BIN)/python -m pytest -n auto $(ARGS)

## Format, lint, types and import rules
check-static: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## What every commit passes, in a minute: the checks and the unit tests (`make test` runs everything)
check: check-static
	$(BIN)/python -m pytest -n auto -m "not interop and not slow" tests/unit tests/vectors

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

## Side by side with DCMTK and pynetdicom: bench/results/
bench: $(VENV)/.dev
	@sh tools/install-peers.sh
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m bench $(ARGS)

## The documentation site: site/index.html, which a browser opens as it is
docs: $(VENV)/.docs
	$(BIN)/python tools/conformance.py CONFORMANCE.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(VENV)/.docs: pyproject.toml $(BIN)/dulcimer
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
