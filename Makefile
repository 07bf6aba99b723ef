# One environment, made from pyproject.toml with the exact versions of constraints.txt.
PYTHON ?= python3.11
BIN := .venv/bin
# A file is the unit of work, as its fixtures are shared; the order is that of conftest.py. There are more workers than
# two processors, for there are always some that wait for a server or a process; unit tests seldom do.
PYTEST := --dist loadfile --no-loadscope-reorder --durations 10

# Tests start hundreds of processes: what the first one compiles is there for the others.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo studio dev check test lint typecheck architecture unit tests docs constraints clean

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	touch $@

# What tests import is compiled once, while types are checked, and not by each worker. What fails here fails there.
.venv/.compiled: .venv/.installed
	-$(BIN)/pytest --collect-only -qq >/dev/null
	touch $@

# The whole graph on the sandbox; ADVANCE=8d lets time pass first, CHAOS=1 lets everything go wrong.
demo: setup
	$(BIN)/redpop demo $(if $(ADVANCE),--advance $(ADVANCE)) $(if $(CHAOS),--chaos)

# The studio on the demo's home: what to expect of a draft, in the browser.
studio: setup
	$(BIN)/redpop studio --demo

# The UI with schedules and sensors; DEMO=1 opens the demo's home.
dev: setup
	$(BIN)/redpop dev $(if $(DEMO),--demo)

# While working: everything but the tests that are marked as slow.
check: setup lint
	$(MAKE) --jobs 3 typecheck architecture unit

test: setup lint
	$(MAKE) --jobs 3 typecheck architecture tests

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: setup
	$(BIN)/mypy

architecture: setup
	$(BIN)/lint-imports

unit: setup .venv/.compiled
	$(BIN)/pytest -n 3 $(PYTEST) -m "not integration and not end_to_end"

tests: setup .venv/.compiled
	$(BIN)/pytest -n 4 $(PYTEST)

# What is generated from the SQL files and the settings.
docs: setup
	$(BIN)/python -m redpop_assets.storage.readme
	$(BIN)/python -m redpop_assets.storage.catalogue_page
	$(BIN)/python -m redpop_assets.settings_table

# Renew the exact versions.
constraints: setup
	$(BIN)/uv pip compile --quiet --python-version 3.11 --all-extras --no-header --no-annotate --upgrade pyproject.toml -o constraints.txt

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
