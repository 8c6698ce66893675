# make repro: install into .venv and run the recipe.
# make check: linter, formatter, import contract and types; make check-js: types of the explorer.
# make test: every test. make ui: MLflow on localhost.
# make clean: remove caches, runs and the environment.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: repro check check-js test ui clean

repro: $(VENV)/installed
	@git rev-parse --git-dir >/dev/null 2>&1 || { echo "make repro: this folder is not a git repository, and DVC needs one. Clone the project, or: git init && git add -A && git commit -m start" >&2; exit 1; }
	dvc repro

check: $(VENV)/installed
	ruff check .
	ruff format --check .
	lint-imports
	mypy

test: $(VENV)/installed
	pytest -n 2 --dist loadgroup

# The types of the explorer's JavaScript (tsconfig.json). Nothing else in the project needs npm.
check-js: node_modules/installed
	node_modules/.bin/tsc

ui: $(VENV)/installed
	@test -f mlflow.db || { echo "make ui: no runs yet; first: make repro" >&2; exit 1; }
	@echo "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning   (Ctrl-C ends it)"
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port 5000 --workers 1

# Removes caches, runs and the environment, and keeps what is in git (dvc.lock, resolved/, runs/*/report.json).
clean:
	rm -rf $(VENV) node_modules .dvc/cache .dvc/tmp .recipe outputs mlruns mlflow.db mlflow.db-shm mlflow.db-wal mlflow.db.lock
	rm -rf .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	git clean -fdXq runs

node_modules/installed: package.json package-lock.json
	@command -v npm >/dev/null || { echo "make check-js: npm is missing; on Debian: apt-get install nodejs npm" >&2; exit 1; }
	npm ci --silent
	@touch $@

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@
