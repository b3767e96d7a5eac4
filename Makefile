# Every target makes its own virtual environment (.venv) first; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One process more than there are processors: tests wait now and then.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# In the order of collection, where long files come first (tests/conftest.py): sorted by the number of tests, some of
# them would come last, and one process would wait for the other.
PYTEST := $(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder

SMOKE := tests/oci tests/faults tests/rules tests/control/test_rules.py tests/cli tests/wire/test_http1.py tests/wire/test_http2.py tests/panel/test_panel_traffic.py
SMOKE_NEEDS := 'httpx[http2]' hypothesis jsonschema pytest pytest-asyncio pytest-xdist trustme zstandard

# Tests start brokenreg in processes too; to compile its source each time would be a third of each start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: serve test test-fast smoke check format bench reference docs dist clients screenshots clean

serve: $(VENV)/made  ## the main job: the registry on 127.0.0.1:8080
	$(BIN)/brokenreg serve

test: $(VENV)/made-dev  ## all tests; those of clients that are not installed are skipped, and say so
	$(PYTEST)

test-fast: $(VENV)/made-dev  ## without real clients, terminals, and what is marked slow: for every change
	$(PYTEST) -m "not (clients or terminal or slow)"

check: $(VENV)/made-dev  ## lint, format, types, layers: all that each of them finds
	@failed=0; for tool in "ruff check" "ruff format --check" "mypy" "lint-imports"; do \
	  echo "$$tool"; $(BIN)/$$tool || failed=1; done; exit $$failed

format: $(VENV)/made-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

smoke: $(VENV)/made-smoke  ## some of the fast tests: enough to see whether brokenreg works on another Python
	$(PYTEST) --quiet -m "not (clients or terminal or slow)" $(SMOKE)

bench: $(VENV)/made-dev  ## ratios against Debian's docker-registry, in one run
	$(BIN)/python -m bench

reference: $(VENV)/made-dev  ## what is generated from the code in docs/reference
	$(BIN)/python -m documentation

docs: $(VENV)/made-dev  ## the site, in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

dist: $(VENV)/made-dev  ## the wheel and the sdist, in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .

# CLIENT, ONLY and RESUME run a part: make clients CLIENT='docker ctr' ONLY='layer-*', or RESUME=1 after Ctrl+C.
clients: $(VENV)/made-dev  ## the exam of the real clients that are installed, for docs/explanation/clients.md: about an hour
	$(BIN)/python -m tests.clients.examined $(CLIENT:%=--client %) $(foreach glob,$(ONLY),--only '$(glob)') $(if $(RESUME),--resume)

screenshots: $(VENV)/made-dev  ## regenerate screenshots/; those of the HTML report and the browser need chromium
	$(BIN)/python tests/panel/take_screenshots.py
	$(BIN)/python tests/panel/web_walk.py
	$(BIN)/python -m tests.exam.take_screenshot

clean:
	rm -rf $(VENV) site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/made: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/made-smoke: pyproject.toml  # the tests without the tools
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable . $(SMOKE_NEEDS)
	touch $@

$(VENV)/made-dev: pyproject.toml requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable . --requirement requirements-dev.txt
	touch $(VENV)/made $@
