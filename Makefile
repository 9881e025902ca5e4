# `make help` lists the targets.

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
# many tests wait for other programs, and for times that these keep
JOBS ?= $(shell expr $$(nproc) \* 3 / 2)
# Each test that starts a process would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE
METADATA = setup.cfg pyproject.toml
# what runs in seconds: neither whole pulls nor a wheel in a fresh environment
UNIT = $(filter-out tests/integration/% tests/test_packaging.py, \
	$(wildcard tests/test_*.py tests/*/test_*.py tests/*/*/test_*.py))
PROPERTIES = $(shell grep -rl --include='test_*.py' '@given' tests)

# Hundreds of processes start, and each would compile our modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test cover lint unit fuzz docs bench clean

help:
	@echo 'make run    serve etc/regbroker.ini: a sandbox registry on loopback'
	@echo 'make test   everything: peers, lint, types, tests, coverage'
	@echo 'make lint   ruff and mypy'
	@echo 'make unit   the quick tests'
	@echo 'make fuzz   the property tests, with many random examples'
	@echo 'make docs   print the pages that come from tables, and make the site in build/docs'
	@echo 'make bench  compare with nginx, HAProxy and Caddy (half an hour, on an idle machine)'
	@echo 'make clean  remove what the others made (but var/: keys live there)'

run: $(VENV)/installed
	$(BIN)/twistd -n --pidfile= regbroker --config etc/regbroker.ini

test: $(VENV)/installed-test
	tests/peers.sh
	$(MAKE) --no-print-directory -j 2 lint cover

# all tests, under coverage
cover: $(VENV)/installed-test | .hypothesis/unicode_data
	$(BIN)/coverage erase
	$(BIN)/coverage run -m twisted.trial -j $(JOBS) tests
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(VENV)/installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

unit: $(VENV)/installed-test
	$(BIN)/trial $(subst /,.,$(basename $(UNIT)))

# Failures are kept in .hypothesis, and come first the next time.
fuzz: $(VENV)/installed-test
	HYPOTHESIS_PROFILE=random $(BIN)/trial $(subst /,.,$(basename $(PROPERTIES)))

docs: $(VENV)/installed-test
	$(BIN)/python -m tests.printed
	$(BIN)/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet \
		-b html docs build/docs

# BENCH takes options: make bench BENCH='--rounds 1 --scenarios ping,token'
bench: $(VENV)/installed-test
	tests/peers.sh bench
	mkdir -p build
	$(BIN)/python -m bench --json build/bench.json --svg build/bench.svg $(BENCH)

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp* .coverage* \
		.hypothesis .mypy_cache .ruff_cache twisted/plugins/dropin.cache
	find regbroker tests twisted -name __pycache__ -prune -exec rm -rf {} +

# Each process would make these tables for itself; under coverage that takes 9 s.
.hypothesis/unicode_data: | $(VENV)/installed-test
	$(BIN)/python -c 'import tests, hypothesis; hypothesis.strategies.text().validate()'

# The files below are stamps: nothing is installed twice for the same metadata.

$(VENV)/installed: $(VENV)/made $(METADATA)
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/installed-test: $(VENV)/made $(METADATA)
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@ $(VENV)/installed

# Debian keeps ensurepip, which venv needs, in a package of its own.
$(VENV)/made:
	@command -v $(PYTHON) >/dev/null || \
		{ echo 'regbroker needs Python 3.10 or newer (make PYTHON=...)'; exit 1; }
	@$(PYTHON) -m ensurepip --version >/dev/null 2>&1 || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends python3-venv; \
	else \
		echo '$(PYTHON) cannot make a venv: install python3-venv'; exit 1; \
	fi
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@
