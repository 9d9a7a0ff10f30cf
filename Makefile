# Two commands: `make book` reads, `make test` proves. `make help` lists the rest.
# PYTHON names the interpreter that .venv is made with: make book PYTHON=python3.12

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Two processes of one thread each finish sooner than one of two threads. A file's tests
# and a notebook's cells stay in order, in one process; slow files of tests go first
# (tests/conftest.py).
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest
ifneq ($(WORKERS),1)
PYTEST := OMP_NUM_THREADS=1 $(PYTEST) --numprocesses $(WORKERS) --dist loadfile
endif

# For training: glibc gives large buffers back at each call and faults them in anew unless
# it is told to keep them (dysample_lib/cost/allocator.py).
KEEP_MEMORY := MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=2147483647

# Progress bars are for people: notebooks and logs get none.
QUIET_KERNEL := TQDM_DISABLE=1 $(KEEP_MEMORY) DYSAMPLE_BUDGET="$${DYSAMPLE_BUDGET:-quick}"

# What several chapters train, with the same seed, is trained once.
SHARED_RUNS := DYSAMPLE_RUNS="$(CURDIR)/_build/runs"

.DEFAULT_GOAL := help
.PHONY: help setup book html lab notebooks tables front viewer stills test lint support hosted pdf gpu wheels clean

help: ## list these targets
	@echo "The DySample book: make <target> [PYTHON=python3.12] [DYSAMPLE_BUDGET=quick|full]"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

setup: $(VENV)/.dev-installed ## make .venv and install the project with all its extras

book: $(VENV)/.book-installed ## run every notebook on this machine, build the site, print its path
	@rm -rf _build/book-src
	@$(KEEP_MEMORY) $(BIN)/python book/scripts/execute.py --copy-to _build/book-src --at-once $(WORKERS)
	@$(BIN)/python _build/book-src/book/scripts/fragments.py
	@$(BIN)/python book/scripts/build.py --source _build/book-src

html: $(VENV)/.book-installed ## build the site from the committed outputs (seconds)
	@$(BIN)/python book/scripts/build.py

lab: $(VENV)/.book-installed ## open the chapters in JupyterLab, with this environment and this machine's budget
	@$(KEEP_MEMORY) JUPYTER_PREFER_ENV_PATH=1 $(BIN)/python -m jupyterlab notebooks

# What is committed comes from the quick budget on a CPU, whatever machine this is.
notebooks: $(VENV)/.book-installed ## run every notebook in place, ready to commit
	@$(KEEP_MEMORY) CUDA_VISIBLE_DEVICES= DYSAMPLE_BUDGET=quick $(BIN)/python book/scripts/execute.py
	@$(BIN)/python book/scripts/fragments.py

tables: $(VENV)/.book-installed ## write the pages' tables again from results/ (seconds)
	@$(BIN)/python book/scripts/fragments.py

front: $(VENV)/.book-installed ## train and draw the introduction's pictures again
	@$(KEEP_MEMORY) $(BIN)/python book/scripts/front_page.py

viewer: $(VENV)/.book-installed ## train the steps of the offsets viewer and export them again
	@$(KEEP_MEMORY) $(BIN)/python book/scripts/viewer_data.py

stills: setup ## take the still pictures of the widgets again (needs Chromium)
	@$(BIN)/python book/scripts/widget_stills.py

test: setup lint ## `make lint`, pytest over tests/, pytest --nbval over notebooks/
	$(PYTEST) --no-loadscope-reorder tests
	@rm -rf _build/runs
	@if ls notebooks/*.ipynb >/dev/null 2>&1; then \
	    set -x; $(QUIET_KERNEL) $(SHARED_RUNS) $(PYTEST) --nbval notebooks; \
	fi

lint: setup ## ruff, mypy and the layers of the library alone
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-logo

support: setup ## run every cell of the support matrix, all dtypes of captured graphs too
	$(BIN)/python -m pytest tests/upsamplers/test_support.py --all-cells

hosted: $(if $(IMAGE),$(BIN)/python,$(VENV)/.book-installed) ## run every chapter as a hosted notebook does [IMAGE=…]
	@$(BIN)/python book/scripts/hosted.py $(if $(IMAGE),--image $(IMAGE))

pdf: setup ## print the whole book into _build/dysample-book.pdf [needs Chromium]
	@$(BIN)/python book/scripts/pdf.py

# A machine with a GPU may have no .venv, and no network to make one with.
HERE := $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))

gpu: ## measure on a GPU, in steps that resume [STEPS="tests cost"] [GPU_DRY=1]
	@$(HERE) -m benchmarks.gpu $(STEPS)

wheels: ## collect what a GPU machine without network lacks
	@$(HERE) -m benchmarks.gpu.wheels

clean: ## remove what was built; .venv stays
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The stamps make a second call install nothing until pyproject.toml changes.
$(VENV)/.book-installed: pyproject.toml | $(BIN)/python
	@echo "Installing the project and the book's tools into $(VENV)" \
	    "(once; PyTorch takes some minutes)"
	@$(PIP) -e '.[book]'
	@touch $@

$(VENV)/.dev-installed: pyproject.toml | $(BIN)/python
	@echo "Installing the project and its development tools into $(VENV)" \
	    "(once; PyTorch takes some minutes)"
	@$(PIP) -e '.[dev]'
	@touch $(VENV)/.book-installed $@

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { \
	    echo "No '$(PYTHON)' here. Name a Python 3.10 or newer: make book PYTHON=…" >&2; \
	    exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo "Python 3.10 or newer is needed, '$(PYTHON)' is" \
	        "$$("$(PYTHON)" --version 2>&1). Name another: make book PYTHON=…" >&2; \
	    exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" --version 2>&1)"
	@"$(PYTHON)" -m venv $(VENV) || { \
	    rm -rf $(VENV); \
	    echo "No virtual environment could be made. On Debian and Ubuntu:" \
	        "apt install python3-venv" >&2; \
	    exit 1; }
