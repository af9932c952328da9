# Everything anybody needs to run. `make setup` makes .venv; the other targets do it by themselves.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
# The newest of the usual names that really runs and is at least 3.11 (3.14 and later lack wheels for the pins).
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 && echo $$name && break; done)
PLANS ?= ../shared/eval/plans

.DEFAULT_GOAL := help
.PHONY: help setup demo serve check format test test-light test-perf bench-accuracy bench-service examples clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(BIN)/location-detection: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found; name one: make PYTHON=/path/to/python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/dev: $(BIN)/location-detection
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(BIN)/location-detection ## make .venv with .venv/bin/location-detection

demo: setup ## find the rooms of the plans in examples/ and draw them
	$(BIN)/location-detection detect examples/*.png examples/*.jpg examples/*.pdf --out out/demo --overlay
	@$(BIN)/python examples/summary.py out/demo

serve: setup ## API, page and workers on http://127.0.0.1:8000
	$(BIN)/location-detection serve

check: $(VENV)/dev ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	MYPYPATH=src $(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports

format: $(VENV)/dev ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(VENV)/dev ## the whole suite, with coverage
	$(BIN)/pytest --cov --cov-report=term -m "not perf"

test-light: $(VENV)/dev ## the suite without what is slow or needs a browser
	$(BIN)/pytest -m "not slow and not browser and not perf"

test-perf: $(VENV)/dev ## the specification's own time limits
	$(BIN)/pytest -m perf tests/perf

bench-accuracy: setup ## accuracy, seconds and memory on labelled plans (PLANS=…)
	$(BIN)/python benchmarks/accuracy.py --plans $(PLANS)

bench-service: setup ## how fast the service answers
	$(BIN)/python benchmarks/service.py

examples: $(VENV)/dev ## draw the plans in examples/ again
	$(BIN)/python -m training.make_examples

clean: ## remove what was made
	rm -rf $(VENV) out .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
