# Ten targets at most, each one command. `make help` lists them.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PROFILE ?= release
SOURCES := $(shell find src python -type f -not -name '*.pyc' -not -name '*.so') Cargo.toml Cargo.lock pyproject.toml
JS := tests/interop/node_modules/.package-lock.json
HAS_NPM := $(shell command -v npm)
BENCH ?= $(if $(QUICK),quick,full)
BENCH_full = python -m benches.run $(OPTIONS)
BENCH_quick = python -m benches.run --quick $(OPTIONS)
BENCH_codec = pytest benches/python -q -s --benchmark-columns=median,iqr,ops --benchmark-sort=name
BENCH_instructions = python -m benches.instructions $(if $(UPDATE),--update)

.DEFAULT_GOAL := help
.PHONY: help demo test check bench conformance fuzz chaos docs format clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

demo: $(VENV)/.siox $(if $(HAS_NPM),$(JS))  ## build siox and start the chat; open two tabs
	@$(BIN)/siox demo $(if $(HAS_NPM),--client tests/interop/node_modules/socket.io-client/dist) $(DEMO)

test: $(VENV)/.dev $(VENV)/.siox $(if $(HAS_NPM),$(JS))  ## build the wheel, install it, test what is installed
	@$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered $(if $(CI),--cov-fail-under=95) $(TESTS)

check:  ## everything that CI does
	@bash .ci/run

bench: $(VENV)/.dev $(VENV)/.siox  ## siox beside its peers; BENCH=quick, codec or instructions is less
	@$(BIN)/$(BENCH_$(BENCH))

conformance: $(VENV)/.dev $(VENV)/.siox  ## the official suites, SUITES=folder that holds both
	@$(BIN)/python tests/interop/conformance.py "$(SUITES)"

fuzz:  ## every decoder, SECONDS=10 each
	@bash tests/fuzz/run $(or $(SECONDS),10)

chaos: $(VENV)/.dev $(VENV)/.siox $(if $(HAS_NPM),$(JS))  ## a minute of the client on a bad network, OPTIONS="--seconds 300 --seed 7"
	@$(BIN)/python tests/interop/chaos.py $(OPTIONS)

format:  ## rustfmt and ruff, in place
	@cargo fmt && $(BIN)/ruff format -q && $(BIN)/ruff check -q --fix

clean:  ## remove everything that was built
	@rm -rf target $(VENV) dist tests/interop/node_modules tests/fuzz/target

$(VENV)/.tools: requirements-dev.txt
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --upgrade --disable-pip-version-check pip
	@$(BIN)/python -m pip install -q $$(grep '^maturin==' requirements-dev.txt)
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.tools
	@$(BIN)/python -m pip install -q -r requirements-dev.txt
	@touch $@

$(VENV)/.siox: $(SOURCES) $(VENV)/.tools
	@rm -rf dist && $(BIN)/maturin build --quiet --locked --profile $(PROFILE) --interpreter $(BIN)/python --out dist
	@$(BIN)/python -m pip uninstall -q -y siox
	@$(BIN)/python -m pip install -q dist/siox-*.whl
	@touch $@

$(JS): tests/interop/package.json tests/interop/package-lock.json tests/interop/.npmrc
	@cd tests/interop && npm ci --silent
	@touch $@
