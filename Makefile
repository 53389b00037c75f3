# Needs Python 3.11 or newer (with venv and pip) and make; everything else is installed here.
PYTHON ?= python3
VENV := .venv
DEMO_VENV := .venv-demo
TEST_WORKERS ?= auto
SOURCES := $(shell find adaptstft -name '*.py')

.PHONY: demo test lint clean

# Tunes a real recording, prints the summary and writes demo.png.
demo: $(DEMO_VENV)/.installed
	$(DEMO_VENV)/bin/python -P -m adaptstft.demo demo.png

test: $(VENV)/.test-installed
	$(VENV)/bin/python -m pytest -n $(TEST_WORKERS)

lint: $(VENV)/.dev-installed
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy --strict adaptstft

clean:
	rm -rf $(VENV) $(DEMO_VENV) build *.egg-info

# The stamps make a second run cheap. The demo is an ordinary installation, so it is renewed when the sources change.
$(DEMO_VENV)/.installed: pyproject.toml $(SOURCES) | $(DEMO_VENV)/bin/python
	$(DEMO_VENV)/bin/python -m pip install --quiet '.[demo]'
	touch $@

$(VENV)/.test-installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/.dev-installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]'
	touch $@

%/bin/python:
	$(PYTHON) -m venv $*
