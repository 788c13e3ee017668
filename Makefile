# `make demo` shows what geosr does, `make test` checks that it does it. Each makes its own
# environment first, and brings it up to date when pyproject.toml has changed.

PYTHON ?= python3
TEST_VENV := .venv-test
DEMO_VENV := .venv-demo
TEST := $(TEST_VENV)/bin
DEMO := $(DEMO_VENV)/bin
SOURCES := $(shell find geosr -type f -not -name '*.pyc')
# Passed on to pytest: make test PYTEST_ARGS='-k plan'
PYTEST_ARGS ?=
PLUGIN_ARGS ?=

.PHONY: help demo test test-qgis lint format bench plugin clean

help:
	@echo "make demo       install without TensorFlow, sharpen the sample scene, draw before and after"
	@echo "make test       lint, types, layers and the whole test suite"
	@echo "make test-qgis  the plugin inside QGIS (Debian's), from its ZIP"
	@echo "make plugin     build the ZIP of the QGIS plugin"
	@echo "make lint       the same without the test suite"
	@echo "make format     let ruff put the code in order"
	@echo "make bench      time the engine beside gdalwarp"
	@echo "make clean      remove environments, caches and builds"

demo: $(DEMO_VENV)/installed
	$(DEMO)/python demo/make_demo.py

# The plugin's tests that need no QGIS run apart: both folders have a conftest.py.
test: lint
	$(TEST)/python -m pytest $(PYTEST_ARGS)
	$(TEST)/python -m pytest qgis_plugin

test-qgis: $(TEST_VENV)/stamp
	GEOSR_PYTHON=$(CURDIR)/$(TEST)/python qgis_plugin/run_tests.sh

# Translations are compiled by Qt's lrelease; without it: make plugin PLUGIN_ARGS=--without-translations
plugin:
	@$(PYTHON) qgis_plugin/build_zip.py $(PLUGIN_ARGS)

lint: $(TEST_VENV)/stamp
	$(TEST)/ruff check .
	$(TEST)/ruff format --check .
	$(TEST)/mypy
	$(TEST)/lint-imports

format: $(TEST_VENV)/stamp
	$(TEST)/ruff check --fix .
	$(TEST)/ruff format .

bench: $(TEST_VENV)/stamp
	$(TEST)/python benchmarks/engine.py

clean:
	rm -rf $(TEST_VENV) $(DEMO_VENV) .venv-qgis .venv-qt6 dist build demo_output
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find geosr tests benchmarks demo qgis_plugin sample_data -name __pycache__ -prune -exec rm -rf {} +

# $(1): the environment's folder. Its stamp is written last: a broken install is mended.
define make_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "geosr needs Python 3.11 or later: try make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make environments: install its venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	@echo "Installing into $(1) ..."
	@$(PYTHON) -m venv $(1)
endef

PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

$(TEST_VENV)/stamp: pyproject.toml
	$(call make_venv,$(TEST_VENV))
	@$(TEST)/python $(PIP_INSTALL) -e '.[dev,tensorflow-cpu]'
	@touch $@

$(DEMO_VENV)/stamp: pyproject.toml
	$(call make_venv,$(DEMO_VENV))
	@touch $@

# Not editable: what runs is what a user gets.
$(DEMO_VENV)/installed: $(DEMO_VENV)/stamp $(SOURCES)
	@$(DEMO)/python $(PIP_INSTALL) '.[plot]'
	@touch $@
