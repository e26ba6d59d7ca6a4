# make demo: train with and without memory on the default puzzles, and compare. make test: run the tests.
# Both set everything up.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
RECALL := $(PY) -m memhrm.train experiment=recall steps=525 batch_size=72 threads=1 progress=false

.PHONY: demo test lint types wheel tables paper clean

demo: $(STAMP)
	$(PY) -m memhrm.train steps=150 dir=runs/demo/baseline
	$(PY) -m memhrm.train +memory=multicell k=2 steps=150 dir=runs/demo/multicell
	@echo
	@$(PY) -m memhrm.compare runs/demo/baseline runs/demo/multicell
	@echo
	@echo "Episodes that share a secret rule (experiment=recall): both runs at once, two or three minutes"
	@$(RECALL) dir=runs/demo/recall-baseline & other=$$!; \
	$(RECALL) +memory=multicell k=3 dir=runs/demo/recall-multicell && wait $$other
	@$(PY) -m memhrm.compare runs/demo/recall-baseline runs/demo/recall-multicell --figure runs/demo/recall.svg

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

# Every table, figure and number of the paper, from experiments/results alone.
tables: $(STAMP)
	$(PY) -m experiments.tables

# Needs LaTeX: apt-get install texlive-latex-recommended texlive-pictures lmodern latexmk
paper: $(STAMP)
	$(PY) -m experiments.tables --check
	cd paper && latexmk -pdf -interaction=nonstopmode -halt-on-error -quiet main.tex

clean:
	rm -rf $(VENV) dist build

# PyTorch comes first and pinned, so that no other package draws in another build of it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)
