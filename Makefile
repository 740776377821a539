# The README's two commands are `make demo` and `make test`; both set themselves up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo demos error-rates test check bench bench-pdq kill soak docs clean
.DEFAULT_GOAL := help

help:  ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/.run: pyproject.toml constraints.txt
	@./tools/system-packages run
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "clew: installing Python packages into $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[range]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@./tools/system-packages test
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[range,dev]'
	@touch $@

demo: $(VENV)/.run  ## run a whole closed operation and compare it with the truth
	@$(BIN)/clew demo --out demo

demos: $(VENV)/.run  ## ten operations with fresh seeds, one line of figures each
	@mkdir -p demos
	@for n in 1 2 3 4 5 6 7 8 9 10; do \
	  $(BIN)/clew demo --out demos/$$n --json 2>demos/$$n.log | tr -d '\n' | tr -s ' ' || exit 1; echo; \
	done

# Whole operations and stages beside each other: they use both processors themselves.
ALONE := $(addprefix tests/flow/test_,concurrent.py concurrent_stages.py demo.py examples.py)

# Hundreds of processes are started, each of which would compile the source anew where nothing keeps it compiled.
# And numpy's BLAS, which has nothing to do here, would start a thread for each processor in each of them.
PYTEST := env -u PYTHONDONTWRITEBYTECODE OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest

test: $(VENV)/.dev check  ## all tests, a sample of the long ones; the review page in headless Chromium included
	@$(PYTEST) -n auto --dist loadfile --no-loadscope-reorder $(ALONE:%=--ignore=%)
	@$(PYTEST) $(ALONE)

check: $(VENV)/.dev  ## ruff, mypy strict, import-linter, generated parts of the README up to date
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/readme.py --check

docs: $(VENV)/.dev  ## bring the generated parts of the README up to date
	@$(BIN)/python tools/readme.py

bench: $(VENV)/.dev  ## every claim, side by side with its peer; status 1 at the end where one does not hold
	@missed=0; for file in bench/bench_*.py; do $(BIN)/python $$file || missed=1; done; exit $$missed

bench-pdq: $(VENV)/.dev  ## the picture hash alone
	@$(BIN)/python bench/bench_pdq.py

error-rates: $(VENV)/.run  ## 20 operations of 10,000 by this very build, compared with the truth; writes docs/error-rates.md (85 minutes)
	@$(BIN)/python tools/error_rates.py --scenario large

OBSERVER := tests/observe/test_crash.py tests/observe/test_disturbed.py

kill: $(VENV)/.dev  ## kill -9 of intake and observe at every failpoint and at random moments; then resume and compare
	@CLEW_KILL=1 $(BIN)/python -m pytest -v tests/flow/test_intake_kill.py $(OBSERVER)

soak: $(VENV)/.dev  ## 200 kills, 150 power losses, 40 tries a fault, 10^6 files in one folder; 10^6 inputs for each parser of observe
	@CLEW_SOAK=1 $(BIN)/python -m pytest --timeout=7200 tests/flow/test_intake_kill.py tests/flow/test_archive_kill.py tests/faults $(OBSERVER)
	@$(BIN)/python tests/fuzz/observer.py 1000000

clean:  ## remove what `make` made
	rm -rf $(VENV) demo demos build .mypy_cache .ruff_cache .import_linter_cache
