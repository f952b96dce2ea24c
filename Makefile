# `make demo` and `make test` do all the set-up they need: an environment of their own in .venv.
# On Windows without make, see the README for the same commands.

PYTHON ?= python3
DURATION ?= 180
VENV := .venv
SECONDS := 60
ROUNDS := 10
# With LOCKED=1 the environment is made of exactly what the lock file names, checked by hash.
LOCK := .ci/requirements.txt
PIP := install --quiet --disable-pip-version-check
TARGETS :=
# More than one for each core: many tests wait for other processes.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 2)
BIN := $(VENV)/bin
# Hundreds of tests start Python anew: without bytecode files, each of them would compile the library first.
export PYTHONDONTWRITEBYTECODE :=
# Debian's Python comes without what makes environments; root can mend that.
INSTALL_VENV := test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y python3-venv

.PHONY: help environment lock audit demo test lint types unit properties coverage bench bench-peers bench-check autobahn faults soak fuzz oldest format clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

environment: $(VENV)/ready  ## set up .venv, as every other target does first; LOCKED=1 for the versions of the lock file

demo: $(VENV)/ready  ## a simulated exchange, live, about ten seconds; TYPE=0D for another type
	@$(BIN)/kiwoom-proto demo $(TYPE)

test: lint  ## all checks: lint, types, tests
	@$(MAKE) --no-print-directory --jobs=2 types unit

lint: $(VENV)/ready  ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready  ## static types
	$(BIN)/mypy

unit: $(VENV)/ready  ## the tests
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal

properties: $(VENV)/ready  ## search further with the property tests, new examples every time; ROUNDS=50 for longer
	@for round in $$(seq $(ROUNDS)); do \
		echo "Round $$round of $(ROUNDS)"; \
		HYPOTHESIS_PROFILE=search $(BIN)/pytest -q -n auto -m hypothesis || exit 1; \
	done

coverage: $(VENV)/ready  ## the tests, with a report of the branches they do not reach
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage report

bench: $(VENV)/ready  ## how fast it is, on this machine; about a quarter of an hour
	$(BIN)/python -m benchmarks run

bench-peers: $(VENV)/ready  ## set up what `make bench` compares with, in benchmarks/.peers
	$(BIN)/python -m benchmarks peers

bench-check: $(VENV)/ready  ## has decoding become slower? half a minute
	$(BIN)/python -m benchmarks check

autobahn: $(VENV)/ready  ## the WebSocket conformance suite, both roles (needs Python 2.7; skipped without)
	$(BIN)/python -m tests.autobahn

fuzz:  ## coverage-guided fuzzing, a minute for each target; SECONDS=600 for more, TARGETS=decoder for one
	@$(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/pip install --quiet --disable-pip-version-check --only-binary atheris --editable '.[recording]' 'atheris>=3' || \
		{ echo "atheris, the fuzzer, has no wheel for this Python or platform; try: make fuzz PYTHON=python3.12"; exit 1; }
	@.venv-fuzz/bin/python -m tests.fuzz --seconds $(SECONDS) $(TARGETS)

faults: $(VENV)/ready  ## every fault many times on virtual time: a table of what became of each
	$(BIN)/python -m tests.faults --tries 20

soak: $(VENV)/ready  ## random faults on real sockets, every loop, three minutes in all; DURATION=600 for longer
	$(BIN)/python -m tests.faults soak-sockets --duration $(DURATION)

oldest:  ## the tests with the oldest dependencies that are allowed
	@$(PYTHON) -m venv .venv-oldest
	@.venv-oldest/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]' -r tests/oldest.txt
	.venv-oldest/bin/pytest -q -n auto

lock:  ## choose the newest versions allowed for the lock file that CI installs from
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/pip $(PIP) uv
	@.venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --extra dev \
		--no-annotate --custom-compile-command "make lock" --output-file $(LOCK) pyproject.toml .ci/build.in

audit:  ## known vulnerabilities in what the lock file names (asks the advisory database; needs the network)
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/pip $(PIP) pip-audit
	@.venv-lock/bin/pip-audit --strict --disable-pip --require-hashes --requirement $(LOCK)

format: $(VENV)/ready  ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and all caches
	rm -rf $(VENV) .venv-oldest .venv-fuzz .venv-lock benchmarks/.peers .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage dist build

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "kiwoom-proto needs Python 3.11 or later; try: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Setting up $(VENV) (once) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(INSTALL_VENV) && $(PYTHON) -m venv $(VENV); } || \
		{ rm -rf $(VENV); echo "This Python cannot make environments. On Debian: apt install python3-venv"; exit 1; }
ifdef LOCKED
	@$(BIN)/pip $(PIP) --no-compile --require-hashes --requirement $(LOCK)  # Python compiles what is used
	@$(BIN)/pip $(PIP) --no-deps --no-build-isolation --editable .
else
	@$(BIN)/pip $(PIP) --editable '.[dev]'
endif
	@touch $@
