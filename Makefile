# From a bare machine with make and Python 3.11 or 3.12: `make demo`, `make test`, `make up`.

PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
TEST_JOBS ?= 2

.PHONY: demo test up lint lock bench-accuracy bench-startup bench-serving bench-growth bench-nightly bench-faults bench-livez fuzz clean

demo: $(READY)
	$(BIN)/python -m cli.demo $(if $(DATA),--data "$(DATA)") $(if $(REPO),--repo "$(REPO)") $(if $(PORT),--port "$(PORT)")

test: $(READY)
	$(BIN)/pytest -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder

up: $(READY)
	$(BIN)/python -m cli.first_run $(if $(DATA),--data "$(DATA)")
	$(BIN)/potluck up $(if $(PORT),--port "$(PORT)")

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-accuracy: $(READY)
	$(BIN)/python -m benchmarks.accuracy $(if $(DATA),--data "$(DATA)")

bench-startup: $(READY)
	$(BIN)/python -m benchmarks.startup $(if $(DATA),--data "$(DATA)")

bench-serving: $(READY)
	$(BIN)/python -m benchmarks.serving $(if $(DATA),--data "$(DATA)") $(if $(MLSERVER),--mlserver)

bench-nightly: $(READY)
	$(BIN)/python -m benchmarks.nightly $(if $(ROWS),--rows $(ROWS))

bench-growth: $(READY)
	$(BIN)/python -m benchmarks.growth

bench-faults: $(READY)
	$(BIN)/python -m benchmarks.faults

bench-livez: $(READY)
	$(BIN)/python -m benchmarks.livez

fuzz: $(READY)
	$(BIN)/python -m benchmarks.fuzz $(if $(CASES),--cases $(CASES)) $(if $(SEED),--seed $(SEED))

# The hashed lock files hold no address: pip is told elsewhere where to look. Needs uv.
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml
lock:
	$(LOCK) --extra platform --extra ray --group dev -o requirements.lock
	$(LOCK) --extra platform -c requirements.lock -o docker/requirements-batch.lock
	$(LOCK) -c requirements.lock -o docker/requirements-serving.lock
	echo hatchling | $(LOCK:pyproject.toml=-) -c requirements.lock -o docker/requirements-build.lock

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "expected Python 3.11 or 3.12 on PATH; set PYTHON=/path/to/python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
