# Everything runs in a virtual environment of its own, .venv; each target installs what it needs into it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# what computes on Linux: cpu, or cuda for an NVIDIA GPU (make test BACKEND=cuda); on macOS both mean the same
BACKEND ?= cpu
FUZZ_MINUTES ?= 60
# tests on two cores or more, up to four; a core that runs out of tests takes some of another's
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist worksteal
# in a container one is root, and JupyterLab wants to hear that this is meant
ALLOW_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
SEED := $(or $(SEED),$(shell date +%s))

.PHONY: demo lab test test-gpu fuzz gpt bench figures notebooks course slides docs clean

demo: $(VENV)/.figures
	$(BIN)/miniframe demo
	@echo "go on: $(BIN)/miniframe shows all commands; $(BIN)/miniframe new project.py writes a script to start from"
	@echo "       . $(BIN)/activate makes it plain miniframe and python in this shell; make course opens the lessons"

# a network that learns, live in the browser: Ctrl-C ends it
lab: $(VENV)/.lab
	$(BIN)/miniframe lab

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)
	@echo "go on: $(BIN)/python -m pytest PATH runs one file; . $(BIN)/activate makes it plain python in this shell"

# the same tests on a GPU that is not one (tests/fake_gpu): Linux x86-64, with g++ and nm
test-gpu: $(VENV)/.dev
	sh tests/fake_gpu/build.sh $(CURDIR)/$(BIN)/python
	PYTHONPATH=tests/fake_gpu FAKEGPU=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE) -p fakegpu

# random attacks for about an hour, other ones every time: make fuzz FUZZ_MINUTES=5 SEED=1
fuzz: $(VENV)/.dev
	@echo "seed $(SEED): make fuzz FUZZ_MINUTES=$(FUZZ_MINUTES) SEED=$(SEED) tries the same cases again"
	MINIFRAME_FUZZ_MINUTES=$(FUZZ_MINUTES) $(BIN)/python -m pytest tests/attack -m "" --hypothesis-seed=$(SEED) \
		-o faulthandler_timeout=0 \
		|| { echo "failed with seed $(SEED)"; exit 1; }

# a GPT for characters, trained on the documentation of Python: some minutes
gpt: $(VENV)/.figures
	$(BIN)/python tutorials/scripts/gpt.py

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/time_per_epoch.py
	$(BIN)/python benchmarks/readme_table.py

figures: $(VENV)/.dev
	for script in figures/*.py; do $(BIN)/python $$script || exit 1; done

notebooks: $(VENV)/.notebooks
	$(BIN)/python tutorials/make_notebooks.py
	@echo "go on: make course opens them in a browser"

# the lessons as notebooks, opened in a browser; those that are there already keep what was written in them
course: $(VENV)/.course
	$(BIN)/python tutorials/make_notebooks.py --keep --no-run
	$(BIN)/python -m jupyterlab --notebook-dir=notebooks $(ALLOW_ROOT)

# the lessons as slides, with notes for the speaker
slides: $(VENV)/.slides
	$(BIN)/python docs/slides.py
	@echo "go on: open slides/index.html"

docs: $(VENV)/.docs
	$(BIN)/python docs/build.py
	@echo "go on: open site/index.html"

# The stamp files say which extras are installed; they are renewed when pyproject.toml changes.
$(VENV)/.%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable ".[$(BACKEND),$*]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
