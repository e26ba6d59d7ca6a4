# make demo: train, solve and compare on generated puzzles. make test: run the tests. Both set everything up.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
CONTEXTS := $(PY) -m memhrm.train experiment=contexts data.contexts=[1,2,4] steps=480 \
	data.test_contexts=8 data.curve=[1,2,4,8,16,32] threads=1 progress=false

.PHONY: demo test lint types wheel tables paper docs clean

demo: $(STAMP)
	@echo
	@echo "1/3 Train a small recursive model on 4x4 Sudoku, without memory: 150 steps, half a minute."
	@echo "    It answers, looks at its answer and improves it; 500 puzzles that it never saw are its score."
	@$(PY) -m memhrm.train steps=150 dir=runs/demo/sudoku
	@echo
	@echo "2/3 Let it solve a file of puzzles without answers, and check each answer against the rules."
	@$(PY) -m memhrm.solve run=runs/demo/sudoku docs/puzzles.txt progress=false
	@echo
	@echo "3/3 Sudoku needs no memory. These episodes do: each of up to 32 cues has a secret rule, which is shown once"
	@echo "    and needed again later. Train a model with one memory beside one with 32 cells, which chooses a cell for"
	@echo "    each question: three minutes."
	@$(CONTEXTS) +memory=bicross memory.tokens=10 dir=runs/demo/one > /dev/null & other=$$!; \
	$(CONTEXTS) +memory=multicell memory.cells=32 k=1 dir=runs/demo/cells > /dev/null && wait $$other
	@$(PY) -m memhrm.compare runs/demo/one runs/demo/cells figure=runs/demo/contexts.svg overwrite=true
	@echo
	@echo "Both runs and the figure contexts.svg are in runs/demo. What to do next:"
	@echo "  $(PY) -m memhrm probe run=runs/demo/cells              # look inside: writes a report"
	@echo "  $(PY) -m memhrm train +memory=multicell k=2 seed=1     # memory cells on Sudoku"
	@echo "  $(PY) -m memhrm train --help                           # models, memories, data and every setting"

# About five minutes on two free cores, and two for the set-up.
test: $(STAMP)
	$(PY) -m pytest -n 2 --dist worksteal

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

# The pages of docs/ as a site in build/site, with the API; a warning is an error.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

clean:
	rm -rf $(VENV) dist build

# PyTorch comes first and pinned, so that no other package draws in another build of it.
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
$(STAMP): pyproject.toml constraints.txt
	@echo "Making a virtual environment in $(VENV); nothing outside it is changed."
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing PyTorch: the largest part, about a minute."
	@$(PIP) torch
	@echo "Installing memhrm from this folder, with the tools of its tests: half a minute."
	@$(PIP) --editable '.[dev]'
	@touch $(STAMP)

$(VENV)/.docs: $(STAMP)
	@$(PIP) --editable '.[docs]'
	@touch $@
