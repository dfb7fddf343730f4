# The torch that is measured: an experiment parameter, e.g. make bench TORCH=torch==2.9.1
TORCH ?= torch==2.13.0
# What `make bench` measures and draws, in this order.
STUDIES ?= seed precision speed
# What the working tree is compared with, and the runs that `make baseline` records.
BASE ?= main
# The interpreter of the other side, where it is another than that of .venv.
BASE_PYTHON ?=
BASELINE_RUNS ?= regression regression regression regression regression
PYTHON ?= python3
BIN := .venv/bin
# The stamp names the torch, so that another TORCH installs anew and the same one installs nothing. TORCH may be the path
# of a wheel.
STAMP := .venv/installed-$(subst /,-,$(subst =,-,$(TORCH)))

.DEFAULT_GOAL := help
.PHONY: help setup bench plots report regress history baseline test test-versions lint microbench acceptance clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with the package and its tools; every other target does so by itself

# torch first: in any other order pip could choose another build of it.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	rm -f .venv/installed-*
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet -e ".[dev,peers,cluster,figures]"
	@touch $@

bench: $(STAMP) ## measure STUDIES into results/, draw their figures, close with a table
	$(BIN)/harness run $(STUDIES) --plot

# Every study that there is a run of, the committed ones among them, unless STUDIES are named.
plots: $(STAMP) ## draw the figures again, of the newest run of every study (or of STUDIES), without measuring
	$(BIN)/harness plot $(if $(filter file,$(origin STUDIES)),,$(STUDIES))

report: $(STAMP) ## one HTML page of the newest runs of STUDIES: results/report.html
	$(BIN)/harness report $(STUDIES)

regress: $(STAMP) ## did it get slower, larger or less exact: the working tree against BASE, in one set of rounds
	$(BIN)/harness duel regression --base-rev "$(BASE)" $(if $(BASE_PYTHON),--base-python "$(BASE_PYTHON)")

history: $(STAMP) ## one HTML page of this machine's judged runs, over the commits
	$(BIN)/harness history --page

baseline: $(STAMP) ## record runs that `harness compare regression/baseline RUN` compares with
	$(BIN)/harness run $(BASELINE_RUNS) --baseline

# pytest has a process for each core. Threads of torch and NumPy besides would wait busily for a core that others need:
# checks of methods then took up to ten times as long.
test: $(STAMP) ## the tests: seven minutes on two fast cores, up to sixteen on slow ones
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder -p no:benchmark

test-versions: $(STAMP) ## the tests that read, write, judge and draw, under other versions: pandas, pyarrow, Python
	$(BIN)/python -m tests.versions

lint: $(STAMP) ## ruff and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A history for each machine: pytest-benchmark itself tells only systems and Pythons apart. That there is no last run, or
# that it was under another kernel, is a warning of its, which must not end the run.
microbench: $(STAMP) ## pytest-benchmark over the harness's hot paths and each method, against this machine's last run
	machine=$$($(BIN)/python -c "from harness.machine import this_machine; print(this_machine().slug)") && \
	$(BIN)/pytest tests/benchmarks --benchmark-only --benchmark-autosave --benchmark-compare \
		--benchmark-storage="results/$$machine/microbench" -W default::pytest_benchmark.logger.PytestBenchmarkWarning

acceptance: $(STAMP) ## the long demonstrations: each bound beside what was measured
	$(BIN)/python -m tests.acceptance

clean: ## remove .venv, .venvs and caches; results stay
	rm -rf .venv .venvs .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
