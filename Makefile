# The torch that is measured: an experiment parameter, e.g. make bench TORCH=torch==2.9.1
TORCH ?= torch==2.13.0
# What `make bench` measures and draws, in this order.
STUDIES ?= seed precision speed
PYTHON ?= python3
BIN := .venv/bin
# The stamp names the torch, so that another TORCH installs anew and the same one installs nothing.
STAMP := .venv/installed-$(subst =,-,$(TORCH))

.DEFAULT_GOAL := help
.PHONY: help setup bench plots test lint microbench acceptance clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with the package and its tools; every other target does so by itself

# torch first: in any other order pip could choose another build of it.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	rm -f .venv/installed-*
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet -e ".[dev]"
	@touch $@

bench: $(STAMP) ## measure STUDIES into results/, draw their figures, close with a table
	$(BIN)/harness run $(STUDIES) --plot

plots: $(STAMP) ## draw the figures of the newest run of STUDIES again, without measuring
	$(BIN)/harness plot $(STUDIES)

test: $(STAMP) ## the tests, under 5 minutes
	$(BIN)/pytest

lint: $(STAMP) ## ruff and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

microbench: $(STAMP) ## pytest-benchmark over the harness's own hot paths and each method at one size
	$(BIN)/pytest tests/benchmarks --benchmark-only

acceptance: $(STAMP) ## the long demonstrations: each bound beside what was measured
	$(BIN)/python -m tests.acceptance

clean: ## remove .venv and caches; results stay
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
