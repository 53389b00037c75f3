# Needs Python 3.11 or newer (with venv and pip) and make; everything else is installed here.
PYTHON ?= python3
VENV := .venv
DEMO_VENV := .venv-demo
BENCH_VENV := .venv-bench
DOCS_VENV := .venv-docs
ADAPTERS_VENV := .venv-adapters
NOTEBOOKS_VENV := .venv-notebooks
TEST_WORKERS ?= auto
BENCH_ARGS ?=
RELEASE_VENV := .venv-release
MINIMUM_VENV := .venv-minimum
WHEEL_VENV := .venv-wheel
# More arguments for pytest in test-minimum and test-dist, such as --quick.
TEST_ARGS ?=
# One word for each adapter: its extra, its module and its tests.
ADAPTER_NAMES := torch sklearn
ADAPTERS := $(foreach name,$(ADAPTER_NAMES),adaptstft/$(name).py tests/test_$(name).py)
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
SOURCES := $(shell find adaptstft -name '*.py')

.PHONY: demo test test-adapters notebooks lint bench docs docs-quick clean
.PHONY: api check clean-release coverage dist test-dist test-minimum

# Tunes a real recording, prints the summary and writes demo.png.
demo: $(DEMO_VENV)/.installed
	$(DEMO_VENV)/bin/python -P -m adaptstft.demo demo.png

test: $(VENV)/.test-installed
	$(VENV)/bin/python -m pytest -n $(TEST_WORKERS)

# The adapters to other frameworks, with their doctests. pip chooses which PyTorch: where the usual one brings CUDA along
# and that is not wanted, PIP_EXTRA_INDEX_URL can name an index of builds for the CPU.
test-adapters: $(ADAPTERS_VENV)/.installed
	$(ADAPTERS_VENV)/bin/python -m pytest -n $(TEST_WORKERS) $(ADAPTERS) tests/site/test_classification.py \
	    'tests/site/test_guide.py::test_page[guide/training.rst]'

# Runs the notebooks, each in a new kernel, and stops at the first error. Nothing is written to them.
notebooks: $(NOTEBOOKS_VENV)/.installed
	$(NOTEBOOKS_VENV)/bin/jupyter-execute --timeout=600 $(NOTEBOOKS)

lint: $(VENV)/.dev-installed
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy --strict adaptstft

# For daily work: linter, type checker and the quick subset of the tests.
check: $(VENV)/.dev-installed
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy --strict adaptstft
	$(VENV)/bin/python -m pytest -n $(TEST_WORKERS) --quick

# Lines of the package that the tests run. What is compiled cannot be seen, so some tests run the kernels as Python first.
COVERAGE := $(ADAPTERS_VENV)/bin/python -m coverage
KERNEL_TESTS := $(foreach name,kernels bins bin_gradients bin_inverse gradients inverse lowrank transform,tests/test_$(name).py)
coverage: $(ADAPTERS_VENV)/.coverage-installed
	$(COVERAGE) erase
	NUMBA_DISABLE_JIT=1 $(COVERAGE) run -m pytest -n $(TEST_WORKERS) --quick $(KERNEL_TESTS) -k 'not memory and not workers and not long'
	$(COVERAGE) run -m pytest -n $(TEST_WORKERS)
	$(COVERAGE) combine --quiet
	$(COVERAGE) report

# Stores the public names and signatures again, after a change on purpose.
api: $(ADAPTERS_VENV)/.installed
	$(ADAPTERS_VENV)/bin/python tests/public_api.py

# The oldest versions that are allowed: between them they use what newer ones of their own dependencies have deprecated.
test-minimum: $(MINIMUM_VENV)/.installed
	PYTEST_ADDOPTS='-W ignore::DeprecationWarning' $(MINIMUM_VENV)/bin/python -m pytest -n $(TEST_WORKERS) $(TEST_ARGS)

# An old list of sources would bring files along that are gone.
dist: $(RELEASE_VENV)/.installed
	rm -rf dist *.egg-info
	$(RELEASE_VENV)/bin/python -m build
	$(RELEASE_VENV)/bin/python -m twine check --strict dist/*

# The wheel in an empty environment: its command with nothing but what it requires, then the tests of the sdist.
test-dist: dist
	rm -rf $(WHEEL_VENV) build/sdist
	$(PYTHON) -m venv $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/python -m pip install --quiet dist/*.whl
	$(WHEEL_VENV)/bin/adaptstft
	$(WHEEL_VENV)/bin/python -m pip install --quiet "$$(echo dist/*.whl)[test]"
	mkdir -p build/sdist
	tar -xzf dist/*.tar.gz -C build/sdist --strip-components=1
	rm -r build/sdist/adaptstft
	cd build/sdist && $(CURDIR)/$(WHEEL_VENV)/bin/python -m pytest -n $(TEST_WORKERS) $(TEST_ARGS) tests

# Compares with other packages and prints a table; BENCH_ARGS='--only time' runs a part, --list shows the parts.
bench: $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python -m benchmarks $(BENCH_ARGS)

# The site, in docs/_build/html. Every warning is an error, names without a page included; the notebooks are executed.
docs: $(DOCS_VENV)/.installed
	$(DOCS_VENV)/bin/python -m sphinx -W -n --keep-going -b html docs docs/_build/html

# The same with the notebooks as they are stored, without outputs.
docs-quick: export ADAPTSTFT_DOCS_QUICK := 1
docs-quick: docs

clean: clean-release
	rm -rf $(VENV) $(DEMO_VENV) $(BENCH_VENV) $(ADAPTERS_VENV) $(DOCS_VENV) $(NOTEBOOKS_VENV) docs/_build docs/generated build *.egg-info

clean-release:
	rm -rf $(RELEASE_VENV) $(MINIMUM_VENV) $(WHEEL_VENV) dist .coverage .coverage.*

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

comma := ,
empty :=
$(ADAPTERS_VENV)/.installed: pyproject.toml | $(ADAPTERS_VENV)/bin/python
	$(ADAPTERS_VENV)/bin/python -m pip install --quiet --editable \
	    '.[test,$(subst $(empty) $(empty),$(comma),$(strip $(ADAPTER_NAMES)))]'
	$(ADAPTERS_VENV)/bin/python -m pip install --quiet --no-deps aeon  # for its data alone
	touch $@

$(DOCS_VENV)/.installed: pyproject.toml | $(DOCS_VENV)/bin/python
	$(DOCS_VENV)/bin/python -m pip install --quiet --editable '.[docs]'
	$(DOCS_VENV)/bin/python -m pip install --quiet --no-deps aeon  # for its data alone
	touch $@

$(NOTEBOOKS_VENV)/.installed: pyproject.toml | $(NOTEBOOKS_VENV)/bin/python
	$(NOTEBOOKS_VENV)/bin/python -m pip install --quiet --editable '.[demo,notebooks]'
	$(NOTEBOOKS_VENV)/bin/python -m pip install --quiet --no-deps aeon  # for its data alone
	touch $@

# A package to compare with that cannot be installed is a line in the table.
$(BENCH_VENV)/.installed: pyproject.toml benchmarks/peers.py | $(BENCH_VENV)/bin/python
	$(BENCH_VENV)/bin/python -m pip install --quiet --editable .
	$(BENCH_VENV)/bin/python -m benchmarks.peers
	touch $@

$(ADAPTERS_VENV)/.coverage-installed: $(ADAPTERS_VENV)/.installed
	$(ADAPTERS_VENV)/bin/python -m pip install --quiet 'coverage>=7.10'
	touch $@

$(MINIMUM_VENV)/.installed: pyproject.toml .ci/minimum_versions.py | $(MINIMUM_VENV)/bin/python
	$(MINIMUM_VENV)/bin/python .ci/minimum_versions.py test > $(MINIMUM_VENV)/constraints.txt
	$(MINIMUM_VENV)/bin/python -m pip install --quiet -c $(MINIMUM_VENV)/constraints.txt --editable '.[test]'
	touch $@

$(RELEASE_VENV)/.installed: | $(RELEASE_VENV)/bin/python
	$(RELEASE_VENV)/bin/python -m pip install --quiet build twine
	touch $@

%/bin/python:
	$(PYTHON) -m venv $*
