# Everything works on a machine with Python 3.11+, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run test fuzz faults bench lint format proto lock architecture clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/'

# A venv that was moved or made by another Python is made anew.
$(STAMP): pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || { echo "making $(VENV) ..."; $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing into $(VENV) (a minute or so the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e './clients/python' -e '.[dev]'
	@touch $@

run: $(STAMP) ## Serve with demo accounts on an embedded PostgreSQL in .data
	@$(BIN)/policy-service serve --demo

# Much of a test's time is waiting: for disks, for processes to start. So there are more processes than two cores need,
# and who is done takes tests from who is not, of whichever file.
test: $(STAMP) ## Run every test
	@$(BIN)/python -m pytest --numprocesses=4 --dist=worksteal $(ARGS)

# What `make test` does a little of, on random policies, histories and walks, for long. Each number can be set.
fuzz: export FUZZ_DECISIONS ?= 2000000
fuzz: export MEMBERSHIP_SEQUENCES ?= 100000
fuzz: export LIFE_CYCLES ?= 600
fuzz: export IMPACT_WORLDS ?= 3200
fuzz: export AUDIT_CHANGES ?= 2100
fuzz: export MOTION_CHANGES ?= 1000
fuzz: export FAKE_EXAMPLES ?= 200
fuzz: $(STAMP) ## Compare the service with oracles and models for long (FUZZ_DECISIONS=N, MEMBERSHIP_SEQUENCES=N, …)
	@$(BIN)/python -m pytest tests/decide/test_differential.py tests/members/test_membership_model.py tests/whole/test_life_cycle.py tests/seed/test_impact.py tests/audit/test_audit_history.py tests/replicate/test_motion.py tests/client/test_fake.py -s --timeout=0 $(ARGS)

faults: $(STAMP) ## Kill, freeze, cut, fail over and upgrade for long, and count what was lost (ARGS="--rounds 100 --only kills")
	@$(BIN)/python -m tests.faults $(ARGS)

bench: $(STAMP) ## Measure, side by side in one run
	@$(BIN)/python -m tests.benchmarks $(ARGS)

lint: $(STAMP) ## Check style, types, imports and generated code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python proto/generate.py --check
	@$(BIN)/python clients/python/generate.py --check
	@$(BIN)/policy-service seed lint --strict
	@$(BIN)/policy-service seed test --require-coverage

format: $(STAMP) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

proto: $(STAMP) ## Write the generated code anew: messages from proto/, asyncio clients from the blocking ones
	@$(BIN)/python proto/generate.py
	@$(BIN)/python clients/python/generate.py

# uv is needed by nothing else.
lock: $(STAMP) ## Write anew what the image installs (deploy/image/*.txt), after a change of dependencies
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	@$(BIN)/python deploy/image/lock.py

architecture: $(STAMP) ## Write docs/architecture.md anew from the code
	@ARCHITECTURE=write $(BIN)/python -m pytest -q tests/contract/test_architecture.py

clean: ## Remove what was built (not .data)
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
