# `make demo` and `make test` each work alone, on a machine with only Python 3.11 and make.
#
# PyPI's torch for Linux is a CUDA build of several gigabytes. For the CPU build:
#     make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: demo test lint docs clean

demo: $(VENV)/runs
	$(BIN)/edgeseq demo -o demo

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered -q

lint: $(VENV)/tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/tests
	$(BIN)/python tests/test_docs.py

$(VENV)/runs: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable ".[cpu,train]"
	touch $@

$(VENV)/tests: $(VENV)/runs
	$(INSTALL) --editable ".[cpu,train,dev]"
	touch $@

clean:
	rm -rf $(VENV) .coverage .hypothesis .*_cache
