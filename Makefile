# One environment, made from pyproject.toml with the exact versions of constraints.txt.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: setup demo dev test lint typecheck architecture tests docs constraints clean

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --compile-bytecode --editable '.[dev]'
	touch $@

# The whole graph on the sandbox; ADVANCE=8d lets time pass first, CHAOS=1 lets everything go wrong.
demo: setup
	$(BIN)/redpop demo $(if $(ADVANCE),--advance $(ADVANCE)) $(if $(CHAOS),--chaos)

# The UI with schedules and sensors; DEMO=1 opens the demo's home.
dev: setup
	$(BIN)/redpop dev $(if $(DEMO),--demo)

test: setup lint typecheck architecture tests

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: setup
	$(BIN)/mypy

architecture: setup
	$(BIN)/lint-imports

tests: setup
	$(BIN)/pytest -n 2 --dist loadgroup

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
