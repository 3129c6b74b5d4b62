# Environments are made when a target first needs them, and brought up to date when pyproject.toml
# or their constraint file is newer than their stamp. The machine must have a Python >= 3.11 with
# its venv module, and nothing else.

help:
	@echo 'make demo         a small Bayesian network, from data to predictions'
	@echo 'make test         lint, all tests in the current lane, then those of the lane bayeux'
	@echo 'make test-newest  with a Python >= 3.12, and so the newest JAX, the tests that depend on them'
	@echo 'make test-slow    the tests that take minutes, and every algorithm in full'
	@echo 'make bench        Crewel against its backends and against bayeux'
	@echo 'make lint         ruff, pyright and import-linter'
	@echo 'make stubs        crewel/methods.pyi, anew from the algorithms and their options'
	@echo 'make docs         the documentation, into site/'
	@echo 'make clean        removes what tools leave behind, keeps the environments'
	@echo 'make venv         .venv, the current lane; likewise venv-newest and venv-bayeux'
	@echo
	@echo "make test-current PYTEST_ARGS='tests/run/test_initial.py -x' chooses tests."
	@echo 'make venv PYTHON=/path/to/python chooses the interpreter of .venv.'

.PHONY: help venv venv-newest venv-bayeux demo test test-current test-bayeux test-newest \
	test-slow bench lint stubs docs clean
.NOTPARALLEL:

# The first Python of the wanted versions, best first: by its name, as `python3`, from pyenv. Each
# one is run, because pyenv has a name on PATH also for a Python that is not switched on.
find_python = $(shell for v in $(1); do \
	for p in python$$v python3 $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$v.*/bin/python; do \
		test "$$($$p -c 'import ensurepip; $(VERSION)' 2>&1)" = $$v && command -v $$p && exit; \
	done; done)
VERSION := import sys; print("%d.%d" % sys.version_info[:2])
version = $(and $(1),$(shell $(1) -c '$(VERSION)'))

PYTHON := $(or $(PYTHON),$(call find_python,3.11 3.12 3.13 3.14))
# The constraints are tested with 3.12, so that comes before anything newer.
PYTHON_NEWEST := $(or $(PYTHON_NEWEST),$(call find_python,3.12 3.13 3.14))
# Oryx and bayeux are tested with 3.11 only.
PYTHON_BAYEUX := $(or $(PYTHON_BAYEUX),$(call find_python,3.11))

# Two workers: most of a test's time is one thread of JAX, tracing and compiling.
PYTEST_ARGS ?= -n 2 --dist loadscope

# ---- environments -------------------------------------------------------------------------------

# The stamps carry the Python's version, so that another PYTHON makes the environment anew.
VENV := .venv/.stamp-$(call version,$(PYTHON))
VENV_NEWEST := .venv-newest/.stamp-$(call version,$(PYTHON_NEWEST))
VENV_BAYEUX := .venv-bayeux/.stamp-$(call version,$(PYTHON_BAYEUX))

CURRENT := constraints/current-py$(if $(filter %-3.11,$(VENV)),311,312).txt

$(VENV): python = $(PYTHON)
$(VENV): constraints = $(CURRENT)
$(VENV): extras = all,test
$(VENV): pyproject.toml $(CURRENT)

$(VENV_NEWEST): python = $(PYTHON_NEWEST)
$(VENV_NEWEST): constraints = constraints/current-py312.txt
$(VENV_NEWEST): extras = all,test
$(VENV_NEWEST): pyproject.toml constraints/current-py312.txt

$(VENV_BAYEUX): python = $(PYTHON_BAYEUX)
$(VENV_BAYEUX): constraints = constraints/bayeux.txt
$(VENV_BAYEUX): extras = bayeux,oryx,equinox,flax,haiku,test
$(VENV_BAYEUX): pyproject.toml constraints/bayeux.txt

$(VENV) $(VENV_NEWEST) $(VENV_BAYEUX):
	@$(or $(python),false) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'make: found no Python >= 3.11 with its venv module (on Debian: apt install' \
			'python3-venv). To name one: make PYTHON=/path/to/python' >&2; exit 1; }
	@echo 'Installing $(constraints) into $(@D). The first time takes a minute or two.'
	@test "$$($(@D)/bin/python -V 2>&1)" = "$$($(python) -V)" || $(python) -m venv --clear $(@D)
	@$(call pip,$(@D),$(extras),$(constraints))
	@touch $@

.venv/.stamp-docs: $(VENV)
	@$(call pip,.venv,docs,$(CURRENT))
	@touch $@

# What pip says is shown where it fails.
pip = $(1)/bin/python -m pip install --progress-bar off -c $(3) -e '.[$(2)]' >$(1)/pip.log 2>&1 \
	|| { tail -n 25 $(1)/pip.log >&2; exit 1; }

venv: $(VENV)

# ---- work ---------------------------------------------------------------------------------------

demo: $(VENV)
	.venv/bin/crewel demo

test: lint test-current test-bayeux

test-current: $(VENV)
	.venv/bin/python -m pytest $(PYTEST_ARGS)

# With XLA's optimizations, which the other tests do without.
test-slow: $(VENV)
	XLA_FLAGS= .venv/bin/python -m pytest $(PYTEST_ARGS) -m slow

# A lane whose Python is not here is skipped aloud: `make test` must work with any one Python.
ifdef PYTHON_NEWEST
venv-newest: $(VENV_NEWEST)
test-newest: $(VENV_NEWEST)
	.venv-newest/bin/python -m pytest $(PYTEST_ARGS) -m 'not slow and not once'
else
venv-newest test-newest:
	@echo 'SKIPPED $@: it needs Python 3.12 or newer, and none was found.'
endif

ifdef PYTHON_BAYEUX
venv-bayeux: $(VENV_BAYEUX)
test-bayeux: $(VENV_BAYEUX)
	.venv-bayeux/bin/python -m pytest $(PYTEST_ARGS) tests
else
venv-bayeux test-bayeux:
	@echo 'SKIPPED $@: the lane bayeux needs Python 3.11, and none was found.'
endif

bench: $(VENV) venv-bayeux
	.venv/bin/python -m benchmarks

lint: $(VENV)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright --pythonpath .venv/bin/python
	.venv/bin/lint-imports --no-cache --no-logo

stubs: $(VENV)
	.venv/bin/python -m tools.make_stubs

docs: .venv/.stamp-docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

clean:
	rm -rf build dist site *.egg-info .pytest_cache .ruff_cache
	find . -name '.venv*' -prune -o -name __pycache__ -exec rm -rf {} +
