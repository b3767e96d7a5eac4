# Every target makes its own virtual environment (.venv) first; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# The tests start brokenreg some 600 times; to compile its source each time would be a third of each start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: serve test check format bench clients screenshots clean

serve: $(VENV)/made  ## the main job: the registry on 127.0.0.1:8080
	$(BIN)/brokenreg serve

test: $(VENV)/made-dev  ## all tests; those of clients that are not installed are skipped, and say so
	@# In the order of collection: the files of real clients are the longest and have few tests. Sorted by the number
	@# of tests, they would come last, and one process would wait for the other.
	$(BIN)/pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

check: $(VENV)/made-dev  ## lint, format, types, floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/made-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/made-dev  ## ratios against Debian's docker-registry, in one run
	$(BIN)/python -m bench

clients: $(VENV)/made-dev  ## what real clients do under twelve faults: docs/clients.md anew, in about 10 minutes
	$(BIN)/python -m tests.clients.behaviour

screenshots: $(VENV)/made-dev  ## draw screenshots/ anew
	$(BIN)/python tests/panel/take_screenshots.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/made: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/made-dev: $(VENV)/made requirements-dev.txt
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	touch $@
