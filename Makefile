# `make help` lists the targets.

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
# processes of `cover`, each of which keeps a core busy
JOBS ?= $(shell nproc)
# processes of `integration`, which wait for other programs more than half of the time
WAITING_JOBS ?= $(shell expr 2 '*' $(JOBS))
# Each test that starts a process would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE
METADATA = setup.cfg pyproject.toml
TESTS = $(sort $(shell find tests -name 'test_*.py'))
# what is installed: these tests are one process, which makes the wheel once for all
SHIPPED = tests/test_packaging.py tests/integration/test_container.py
# real clients and servers
INTEGRATION = $(filter-out $(SHIPPED), $(filter tests/integration/%, $(TESTS)))
# through several rooms, in one process
SCENARIOS = $(filter tests/scenarios/%, $(TESTS))
# of one module each
UNIT = $(filter-out $(SHIPPED) $(INTEGRATION) $(SCENARIOS), $(TESTS))
modules = $(subst /,.,$(basename $(1)))
PROPERTIES = $(shell grep -rl --include='test_*.py' '@given' tests)

.PHONY: help run test checked cover scenarios integration shipped lint unit fuzz docs bench profile clean

help:
	@echo 'make run    serve etc/regbroker.ini: a sandbox registry on loopback'
	@echo 'make test   everything: peers, lint, types, tests, coverage'
	@echo 'make lint   ruff and mypy'
	@echo 'make unit   the quick tests'
	@echo 'make cover  the tests of single modules under coverage, in several processes'
	@echo 'make scenarios     the other quick tests, which go through several rooms'
	@echo 'make integration   the tests with real clients and servers'
	@echo 'make shipped       the tests of the wheel and of the container image'
	@echo 'make fuzz   the property tests, with many random examples'
	@echo 'make docs   print the pages that come from tables, and make the site in build/docs'
	@echo 'make bench  compare with nginx, HAProxy and Caddy (half an hour, on an idle machine)'
	@echo 'make profile SCENARIO=ping  where the time of a scenario of it goes, by room'
	@echo 'make clean  remove what the others made (but var/: keys live there)'

run: $(VENV)/installed
	$(BIN)/twistd -n --pidfile= regbroker --config etc/regbroker.ini

test: $(VENV)/installed-test
	tests/peers.sh
	$(MAKE) --no-print-directory -j 3 cover integration checked

# one after the other: each keeps one core busy
checked:
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory shipped
	$(MAKE) --no-print-directory scenarios

# What counts is what a module's own tests reach. With Python 3.11, coverage doubles the
# time of a test, so all others run without. Its processes, one for each core, never wait:
# all others go before, and these keep each core busy until the end.
cover: $(VENV)/installed-test | .hypothesis/unicode_data
	$(BIN)/coverage erase
	nice -n 5 $(BIN)/coverage run -m tests.side_by_side -j $(JOBS) \
		$(call modules,$(UNIT))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

integration: $(VENV)/installed-test
	$(BIN)/python -m tests.side_by_side -j $(WAITING_JOBS) \
		--temp-directory=_trial_temp-integration $(call modules,$(INTEGRATION))

scenarios: $(VENV)/installed-test
	$(BIN)/trial --temp-directory=_trial_temp-scenarios $(call modules,$(SCENARIOS))

shipped: $(VENV)/installed-test
	$(BIN)/trial --temp-directory=_trial_temp-shipped $(call modules,$(SHIPPED))

lint: $(VENV)/installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

unit: $(VENV)/installed-test
	$(BIN)/trial $(call modules,$(UNIT) $(SCENARIOS))

# Failures are kept in .hypothesis, and come first the next time.
fuzz: $(VENV)/installed-test
	HYPOTHESIS_PROFILE=random $(BIN)/trial $(call modules,$(PROPERTIES))

docs: $(VENV)/installed-test
	$(BIN)/python -m tests.printed
	$(BIN)/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet \
		-b html docs build/docs

# BENCH takes options: make bench BENCH='--rounds 1 --scenarios ping,token'
bench: $(VENV)/installed-test
	tests/peers.sh bench
	mkdir -p build
	$(BIN)/python -m bench --json build/bench.json --svg build/bench.svg $(BENCH)

profile: $(VENV)/installed-test
	tests/peers.sh bench
	$(BIN)/python -m bench.profile $(or $(SCENARIO),manifest-1)

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp* .coverage* \
		.hypothesis .mypy_cache .ruff_cache twisted/plugins/dropin.cache
	find regbroker tests twisted -name __pycache__ -prune -exec rm -rf {} +

# Each process would make these tables for itself; under coverage that takes 9 s.
.hypothesis/unicode_data: | $(VENV)/installed-test
	$(BIN)/python -c 'import tests, hypothesis; hypothesis.strategies.text().validate()'

# The files below are stamps: nothing is installed twice for the same metadata.

# pip would compile everything, with one core. Here that is done with all cores for what
# each process imports; what few import is compiled when they do.
INSTALL = $(BIN)/pip install --quiet --no-compile --editable
COMPILE = $(BIN)/python -m compileall -q -j 0 regbroker $(VENV)/lib/*/site-packages/twisted

$(VENV)/installed: $(VENV)/made $(METADATA)
	$(INSTALL) .
	$(COMPILE)
	@touch $@

$(VENV)/installed-test: $(VENV)/made $(METADATA)
	$(INSTALL) '.[test]'
	$(COMPILE)
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
