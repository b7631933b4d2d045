# Commands for everybody; `make` lists them.

# The private environment stands alone, also where a ROS installation has been sourced.
unexport PYTHONPATH LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE

PYTHON ?= python3.11
export TORCH_INDEX

.DEFAULT_GOAL := help
.PHONY: help environment demo test test-all test-fast lint docs fuzz soak crash-consistency release-check clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

environment:  ## build .venv: ROS 2, requirements, message packages, this package (PYTHON=, TORCH_INDEX=)
	@$(PYTHON) -c "" 2>/dev/null || { echo "error: $(PYTHON) does not run; install Python 3.11 or name one: make PYTHON=..." >&2; exit 2; }
	@$(PYTHON) environment/setup_environment.py

demo: environment  ## run a drive through the node over DDS into demo_output (DRIVE=, WEIGHTS=)
	.venv/bin/mp_perception demo $(if $(DRIVE),--drive "$(DRIVE)") $(if $(WEIGHTS),--weights "$(WEIGHTS)")

# Each test process has a DDS domain of its own.  One that dies is not replaced: with loadfile the run would never end.
PYTEST = .venv/bin/python -m pytest --numprocesses $(or $(JOBS),2) --dist loadfile --max-worker-restart=0 --durations=10

test: environment  ## run all tests but the extended ones, in JOBS= processes
	@$(PYTEST) -m "not extended"

test-all: environment  ## run all tests: make test, then those marked `extended`, also after a failure
	@failed=0; \
	$(MAKE) test || failed=1; \
	$(PYTEST) -m extended || failed=1; \
	exit $$failed

test-fast: environment  ## run the tests that are neither slow nor extended and do not need DDS
	.venv/bin/python -m pytest -m "not slow and not dds and not extended"

lint: environment  ## check format, style, types and spelling
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/codespell

fuzz: environment  ## fuzz every parser of files and messages (SECONDS= for each)
	.venv/bin/python -m reliability.fuzzing $(if $(SECONDS),--seconds $(SECONDS))

soak: environment  ## run the node under load and with faults (SECONDS= of each load, ROUNDS= of signals, ONLY=, WEIGHTS=)
	.venv/bin/python -m reliability.soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	  $(if $(ONLY),--only "$(ONLY)") $(if $(WEIGHTS),--weights "$(WEIGHTS)")

crash-consistency: environment  ## kill commands while they write and check what they leave (ROUNDS= of each)
	.venv/bin/python -m reliability.crash_consistency $(if $(ROUNDS),--rounds $(ROUNDS))

release-check: environment  ## build source archive and wheel into dist/ and run the demo from them, in a new environment
	.venv/bin/python environment/release_check.py

docs: environment  ## build the documentation's site into site/index.html
	.venv/bin/mkdocs build --strict --quiet

clean:  ## remove build output, caches and demo_output; .venv stays
	rm -rf build site install log dist demo_output fuzzing *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name .venv -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
