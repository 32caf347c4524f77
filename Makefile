# Everything starts here: `make demo` and `make test` on a machine with Python 3.11,
# 3.12 or 3.13 and its venv module; the rest comes from the hashed lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.locked-$(shell cksum < requirements.lock | cut -d' ' -f1)
INSTALLED := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
export TF_CPP_MIN_LOG_LEVEL ?= 3
export CUDA_VISIBLE_DEVICES ?= -1

.PHONY: help setup demo test check unit fuzz service hostile browser parties e2e kill compose slow pictures mutants bench benchmarks lock clean

help:  ## List the targets
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(INSTALLED)  ## Make .venv from the hashed lock

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "fedsecure needs Python 3.11, 3.12 or 3.13 ($(PYTHON) is another or missing); try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
	  || { echo "Python's venv module is missing; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(INSTALLED): $(READY) pyproject.toml aggregator/pyproject.toml clients/pyproject.toml bench/pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e aggregator -e clients -e bench
	@touch $@

demo: setup  ## Four hospitals train one model on this machine (ROUNDS=3 for a short one)
	@$(BIN)/fedsecure demo

# Each stage ends by itself; `timeout` ends one that hangs, after 1.7 times what the
# stage takes on two processors that do nothing else.
test: check unit fuzz service hostile browser parties  ## Everything that must pass before a commit is shared

check: setup  ## Format, lint, types, import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	timeout 300 $(BIN)/mypy
	$(BIN)/lint-imports

# Stores commit some ten thousand times here: in memory, if there is room, that costs no
# waiting for a disk. What passed is deleted.
unit: ROOM = $(shell [ "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 4000000 ] 2>/dev/null && echo /dev/shm)
unit: setup  ## Arithmetic, statements, stores; the protocol in memory
	PYTEST_DEBUG_TEMPROOT=$(ROOM) timeout 1200 $(PYTEST) -o tmp_path_retention_policy=failed --numprocesses auto --maxprocesses 4 --dist worksteal tests/unit tests/vectors tests/recordings tests/protocol

fuzz: setup  ## Decoders and an aggregator under changed bytes
	timeout 120 $(PYTEST) --numprocesses auto --maxprocesses 4 tests/fuzz

service: setup  ## Real servers over TLS, also with a client that is not ours
	timeout 720 $(PYTEST) --numprocesses auto --maxprocesses 4 --dist loadfile tests/service tests/interop

hostile: setup  ## Strangers do their worst for two minutes beside honest rounds
	timeout 300 $(PYTEST) tests/hostile

browser: setup  ## The consoles in a real Chromium: every page, live, attacks
	timeout 300 $(PYTEST) tests/browser

# Most of it is waiting, so three federations run at a time.
parties: setup  ## e2e and kill: whole federations of real processes
	timeout 1500 $(PYTEST) --numprocesses 3 --dist loadfile --no-loadscope-reorder tests/e2e tests/kill

e2e: setup  ## A whole federation of real processes
	timeout 1800 $(PYTEST) tests/e2e

kill: setup  ## Every party is killed in the middle of a run, and the run goes on
	timeout 480 $(PYTEST) tests/kill

compose: setup  ## All parties in containers of a Docker engine, by the compose file
	timeout --kill-after 60 1200 $(PYTEST) tests/compose

slow: setup mutants  ## What takes longer than the gate allows
	FEDSECURE_WRITE_KILL_MATRIX=1 $(PYTEST) tests -m slow --timeout 3600

mutants: setup  ## Change the security checks in every small way: a test must notice
	$(BIN)/python tests/mutation/run.py

pictures: setup  ## Draw the pictures of README and docs from a real run
	test -f runs/demo/owner/rounds.db || $(BIN)/fedsecure demo
	PYTHONPATH=. $(BIN)/python tools/pictures.py runs/demo

bench: setup  ## How fast, as ratios measured here: ten minutes or more
	mkdir -p runs
	$(BIN)/fedsecure bench all --quick --disk runs --json runs/benchmarks.json

benchmarks: setup  ## Measure all of docs/benchmarks.md anew: twenty minutes
	mkdir -p runs
	$(BIN)/fedsecure bench all --disk runs --json docs/benchmarks.json
	PYTHONPATH=. $(BIN)/python tools/benchmarks.py

lock:  ## Compile the hashed locks anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --all-extras --group dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra aggregator -c requirements.lock pyproject.toml -o aggregator.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra owner --extra agent -c requirements.lock pyproject.toml -o training.lock

clean:  ## Remove what make and the demo made
	rm -rf $(VENV) runs build *.egg-info
