# Every command sets up .venv first (tools/setup.sh), which takes no time when nothing has changed.
.DEFAULT_GOAL := help
SHELL := /bin/sh
bin := .venv/bin
app ?= mtc
args ?=

# Tests start Python hundreds of times: without bytecode on disk each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test coverage check audit bench trace docs lock clean

help:  ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup:  ## Make or renew .venv (the other commands do this by themselves)
	@sh tools/setup.sh

run: setup  ## Start an application for development: make run app=mtc (or planner, projects)
	@$(bin)/bylaw run apps.$(app) --development

test: setup  ## Run every test, with a real browser and a real scanner: make test args="-k csrf"
	@CHROME=$$(sh tools/browser.sh) && CLAMD=$$(sh tools/scanner.sh) && export CHROME CLAMD && \
	$(bin)/pytest -n 2 --dist loadscope $(args)

coverage: setup  ## Run every test and say which lines and branches none of them took
	@CHROME=$$(sh tools/browser.sh) && CLAMD=$$(sh tools/scanner.sh) && export CHROME CLAMD && \
	$(bin)/coverage erase && $(bin)/coverage run -m pytest -n 2 --dist loadscope $(args) && \
	$(bin)/coverage combine --quiet && $(bin)/coverage report

check: setup  ## Run every linter, the type checker, the import contract and the secret scan
	@sh tools/check.sh

# --strict: without it, what could not be audited counts as audited (docs/decisions/0001).
audit: setup  ## Look for known vulnerabilities in what an installed bylaw brings along
	@$(bin)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/runtime.txt

bench:  ## Measure what bylaw costs, beside the bare frameworks and beside what teams glue together
	@sh tools/setup.sh bench
	@.venv-bench/bin/python -m benchmarks $(args)

trace: setup  ## Show which test proves which source requirement
	@$(bin)/python -m tools.trace $(args)

docs: setup  ## Print an application's SECURITY.md: make docs app=mtc
	@$(bin)/bylaw document apps.$(app)

# What is installed stands in requirements/, with hashes and without addresses (docs/decisions/0001).
# Versions already there are kept; make lock args=--upgrade takes the newest.
compile = $(bin)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes --no-annotate --no-header $(args)
applications = --extra flask --extra fastapi --extra postgresql --extra redis --extra files --extra s3 --extra run

lock: setup  ## Pin again what pyproject.toml and requirements/setup.in ask for
	@$(compile) requirements/setup.in --output-file requirements/setup.txt >/dev/null
	@$(compile) pyproject.toml $(applications) --output-file requirements/runtime.txt >/dev/null
	@$(compile) pyproject.toml $(applications) --extra test --group dev \
		--constraint requirements/runtime.txt --output-file requirements/dev.txt >/dev/null
	@$(compile) pyproject.toml $(applications) --group bench --output-file requirements/bench.txt >/dev/null
	@git diff --stat -- requirements

clean:  ## Remove .venv and everything else that a command here has made
	@rm -rf .venv .venv-bench .set-up.lock .coverage .coverage.* htmlcov dist build
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .schemathesis
	@find src apps tests tools benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
