# Needs Python 3.11 or newer (with venv and pip) and make; everything else is installed here.
PYTHON ?= python3
# Tests, linter and type checker, with all that the package can use but PyTorch and scikit-learn.
VENV := .venv
# The same with PyTorch and scikit-learn, and with the tools of the documentation.
FULL_VENV := .venv-full
DEMO_VENV := .venv-demo
BENCH_VENV := .venv-bench
TEST_WORKERS ?= auto
BENCH_ARGS ?=
RELEASE_VENV := .venv-release
MINIMUM_VENV := .venv-minimum
WHEEL_VENV := .venv-wheel
# More arguments for pytest, such as --quick.
TEST_ARGS ?=
# A worker that has nothing left to do takes tests from the other's end, so that neighbours mostly share their fixtures.
PYTEST := -m pytest -n $(TEST_WORKERS) --dist worksteal $(TEST_ARGS)
# Modules and tests of the adapters, and the doctests of what they share.
ADAPTERS := adaptstft/adapters adaptstft/torch.py adaptstft/sklearn.py \
    tests/adapters/test_torch.py tests/adapters/test_sklearn.py
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
SOURCES := $(shell find adaptstft -name '*.py')
# The tests start many processes. Without stored bytecode, each one compiles all that it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-full test-adapters test-site mutations notebooks lint bench docs docs-quick clean
.PHONY: api check clean-release compiled coverage dist environments test-dist test-minimum

# Tunes a real recording, prints the summary and writes demo.png.
demo: $(DEMO_VENV)/.installed
	$(DEMO_VENV)/bin/python -P -m adaptstft.demo demo.png

# For every change. CONTRIBUTING.md says what only test-full runs.
test: $(VENV)/.installed
	$(VENV)/bin/python $(PYTEST)

# The adapters to other frameworks, with their doctests. pip chooses which PyTorch: where the usual one brings CUDA along
# and that is not wanted, PIP_EXTRA_INDEX_URL can name an index of builds for the CPU.
test-adapters: $(FULL_VENV)/.installed
	$(FULL_VENV)/bin/python $(PYTEST) $(ADAPTERS) 'tests/site/test_guide.py::test_page[guide/training.rst]'

# Pages of the site in a browser, after `make docs` or `make docs-quick`.
test-site: $(VENV)/.installed
	$(VENV)/bin/python -m pytest tests/site/test_gallery.py

# Before a release, and every night: all combinations of parameters, claims about quality, notebooks, all adapters.
test-full: $(FULL_VENV)/.installed
	$(FULL_VENV)/bin/python $(PYTEST) --full

# Breaks a copy of the package in many ways, one at a time, and prints which tests find it; tests/mutations.py.
mutations: $(VENV)/.installed
	$(VENV)/bin/python tests/mutations.py

# Runs the notebooks, each in a new kernel, and stops at the first error. Nothing is written to them.
notebooks: $(FULL_VENV)/.installed
	$(FULL_VENV)/bin/jupyter-execute --timeout=600 $(NOTEBOOKS)

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy --strict adaptstft tests/test_types.py

# For daily work: linter, type checker and the quick subset of the tests.
check: lint
	$(VENV)/bin/python $(PYTEST) --quick

# What .ci/run needs: with make -j2 one is downloaded while the other is unpacked.
environments: $(VENV)/.installed $(FULL_VENV)/.installed

# Compiles the kernels once: the workers of the tests would each compile them, at the same time.
compiled: $(VENV)/.installed
	$(VENV)/bin/python -m adaptstft --warm-up

# Lines of the package that the tests run. What is compiled cannot be seen, so some tests run the kernels as Python first.
COVERAGE := $(FULL_VENV)/bin/python -m coverage
KERNEL_TESTS := tests/kernels tests/tuning/test_length_path.py tests/engine/test_bins.py tests/engine/test_bin_gradients.py \
    tests/engine/test_bin_inverse.py tests/engine/test_blocks.py tests/engine/test_forward.py tests/engine/test_inverse.py \
    tests/engine/test_inverse_gradients.py tests/engine/test_jvp.py tests/engine/test_statistics.py tests/engine/test_vjp.py
coverage: $(FULL_VENV)/.coverage-installed
	$(COVERAGE) erase
	NUMBA_DISABLE_JIT=1 $(COVERAGE) run $(PYTEST) --quick $(KERNEL_TESTS) -k 'not memory and not workers and not long'
	$(COVERAGE) run $(PYTEST)
	$(COVERAGE) combine --quiet
	$(COVERAGE) report

# Stores the public names and signatures again, after a change on purpose.
api: $(FULL_VENV)/.installed
	$(FULL_VENV)/bin/python tests/public_api.py

# The oldest versions that are allowed: between them they use what newer ones of their own dependencies have deprecated.
test-minimum: $(MINIMUM_VENV)/.installed
	PYTEST_ADDOPTS='-W ignore::DeprecationWarning' $(MINIMUM_VENV)/bin/python $(PYTEST)

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
	cd build/sdist && $(CURDIR)/$(WHEEL_VENV)/bin/python $(PYTEST) tests

# Compares with other packages and prints a table; BENCH_ARGS='--only time' runs a part, --list shows the parts.
bench: $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python -m benchmarks $(BENCH_ARGS)

# The site, in docs/_build/html. Every warning is an error, names without a page included; the notebooks are executed.
docs: $(FULL_VENV)/.installed
	$(FULL_VENV)/bin/python -m sphinx -W -n --keep-going -b html docs docs/_build/html

# The same with the notebooks as they are stored, without outputs.
docs-quick: export ADAPTSTFT_DOCS_QUICK := 1
docs-quick: docs

clean: clean-release
	rm -rf $(VENV) $(FULL_VENV) $(DEMO_VENV) $(BENCH_VENV) docs/_build docs/generated build *.egg-info

clean-release:
	rm -rf $(RELEASE_VENV) $(MINIMUM_VENV) $(WHEEL_VENV) dist .coverage .coverage.*

# The stamps make a second run cheap. The demo is an ordinary installation, so it is renewed when the sources change.
$(DEMO_VENV)/.installed: pyproject.toml $(SOURCES) | $(DEMO_VENV)/bin/python
	$(DEMO_VENV)/bin/python -m pip install --quiet '.[demo]'
	touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet 'pip>=25.1'  # for dependency groups
	$(VENV)/bin/python -m pip install --quiet --editable . --group dev
	touch $@

$(FULL_VENV)/.installed: pyproject.toml | $(FULL_VENV)/bin/python
	$(FULL_VENV)/bin/python -m pip install --quiet 'pip>=25.1'
	$(FULL_VENV)/bin/python -m pip install --quiet --editable . --group docs --group test
	$(FULL_VENV)/bin/python -m pip install --quiet --no-deps aeon  # for its data alone
	touch $@

# A package to compare with that cannot be installed is a line in the table.
$(BENCH_VENV)/.installed: pyproject.toml benchmarks/peers.py | $(BENCH_VENV)/bin/python
	$(BENCH_VENV)/bin/python -m pip install --quiet --editable .
	$(BENCH_VENV)/bin/python -m benchmarks.peers
	touch $@

$(FULL_VENV)/.coverage-installed: $(FULL_VENV)/.installed
	$(FULL_VENV)/bin/python -m pip install --quiet 'coverage>=7.10'
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
