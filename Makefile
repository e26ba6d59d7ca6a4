# make demo: train with and without memory on the default puzzles, and compare. make test: run the tests.
# Both set everything up.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed

.PHONY: demo test lint types wheel clean

demo: $(STAMP)
	$(PY) -m memhrm.train steps=200 dir=runs/demo/baseline
	$(PY) -m memhrm.train +memory=multicell k=2 steps=200 dir=runs/demo/multicell
	@echo
	@$(PY) -m memhrm.compare runs/demo/baseline runs/demo/multicell

test: $(STAMP)
	$(PY) -m pytest -n 2

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(STAMP)
	$(PY) -m pyright

wheel: $(STAMP)
	rm -rf dist
	$(PY) -m build --wheel --outdir dist

clean:
	rm -rf $(VENV) dist build

# PyTorch comes first and pinned, so that no other package draws in another build of it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)
