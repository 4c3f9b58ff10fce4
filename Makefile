# uWard: `make demo` shows it, `make test` proves it. Everything lives in .venv and .cache.
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo test lint bench cuts soak size clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "uward: error: no Python 3.10 or later found" >&2; \
		echo "uward: hint: install python3 (with venv) and call make again" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
		echo "uward: hint: Debian and Ubuntu need the package python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $(STAMP)

demo: setup
	$(BIN)/uward demo

test: setup
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: setup
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.peers

cuts: setup
	$(BIN)/python -m tests.powerfail.cuts

soak: setup
	$(BIN)/python -m tests.soak

size: setup
	$(BIN)/python -m host_tools.image.size

clean:
	rm -rf build dist .demo .pytest_cache .ruff_cache .hypothesis
