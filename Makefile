# Everything runs inside .venv; the only needs are Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2

.PHONY: demo portal bot portal-assets test test-full check bench docs mutation clean

demo: .venv/ready ## the main job: register a landlord, run pre-flight checks, verify the log
	$(BIN)/python examples/demo.py

PORT ?= 8000
TIME ?=
portal: portal-assets ## the reference portal, begun afresh; TIME=2027-06-01T09:00:00+01:00 sets its clock
	rm -rf examples/portal/var
	PORTAL_TIME=$(TIME) $(BIN)/python examples/portal/manage.py migrate --verbosity 0
	PORTAL_TIME=$(TIME) $(BIN)/python examples/portal/manage.py seed_demo
	PORTAL_TIME=$(TIME) $(BIN)/python examples/portal/manage.py serve --port $(PORT)

PORTAL ?=
MISBEHAVE ?=
bot: portal-assets ## a bot at the portal; PORTAL=URL uses one that runs, MISBEHAVE=apa shows a refusal
	PYTHONPATH=examples $(BIN)/python -m bot demo $(if $(PORTAL),--portal $(PORTAL)) \
	  $(if $(TIME),--time $(TIME)) $(if $(MISBEHAVE),--misbehave $(MISBEHAVE))

portal-assets: .venv/ready ## the portal's stylesheet, script and compiled Welsh
	$(BIN)/python examples/portal/set_up.py

test: .venv/ready ## every test but the exhaustive ones
	$(BIN)/pytest -n $(JOBS) -m "not exhaustive"

test-full: .venv/ready ## the exhaustive tests as well: slow
	$(BIN)/pytest -n $(JOBS)

check: .venv/ready ## lint, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/ready ## every benchmark beside its yardstick, as a table
	$(BIN)/python -m benchmarks

docs: .venv/ready ## write the reference again from the code
	$(BIN)/python scripts/reference.py

mutation: .venv/ready ## break the core in 300 ways and see which the tests miss
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[mutation]"
	$(BIN)/python scripts/mutation.py

clean: ## remove what the other targets made
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@
