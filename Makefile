# The experiment parameter: which torch is measured, e.g. make bench TORCH=torch==2.9.1
TORCH ?= torch==2.13.0
STUDIES ?= seed precision speed
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup bench plots baseline test lint microbench acceptance clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1|\2/' | column -t -s '|'

setup: .venv/installed ## make .venv with the package and its tools (every other target does it by itself)

# torch first: any other order could bring a build of several gigabytes.
.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet -e ".[dev]"
	@echo "$(TORCH)" > $@
