# `make help` lists the targets.

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
# processes for each of `cover` and `integration`
JOBS ?= $(shell nproc)
# Each test that starts a process would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE
METADATA = setup.cfg pyproject.toml
TESTS = $(sort $(shell find tests -name 'test_*.py'))
# what is installed: these tests are one process, which makes the wheel once for all
SHIPPED = tests/test_packaging.py tests/integration/test_container.py
# real clients and servers
INTEGRATION = $(filter-out $(SHIPPED), $(filter tests/integration/%, $(TESTS)))
# what runs in seconds
UNIT = $(filter-out $(SHIPPED) $(INTEGRATION), $(TESTS))
modules = $(subst /,.,$(basename $(1)))
PROPERTIES = $(shell grep -rl --include='test_*.py' '@given' tests)

.PHONY: help run test checked cover integration shipped lint unit fuzz docs bench profile clean

help:
	@echo 'make run    serve etc/regbroker.ini: a sandbox registry on loopback'
	@echo 'make test   everything: peers, lint, types, tests, coverage'
	@echo 'make lint   ruff and mypy'
	@echo 'make unit   the quick tests'
	@echo 'make cover  the quick tests under coverage, in several processes'
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

# The quick tests reach each module. Those of integration test processes of their own,
# of which coverage would see nothing, and be waited for.
cover: $(VENV)/installed-test | .hypothesis/unicode_data
	$(BIN)/coverage erase
	$(BIN)/coverage run -m tests.side_by_side -j $(JOBS) $(call modules,$(UNIT))
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

integration: $(VENV)/installed-test
	$(BIN)/python -m tests.side_by_side -j $(JOBS) \
		--temp-directory=_trial_temp-integration $(call modules,$(INTEGRATION))

shipped: $(VENV)/installed-test
	$(BIN)/trial --temp-directory=_trial_temp-shipped $(call modules,$(SHIPPED))

lint: $(VENV)/installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

unit: $(VENV)/installed-test
	$(BIN)/trial $(call modules,$(UNIT))

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
