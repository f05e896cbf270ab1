# airoxy's chores; `make` alone lists them. Two are enough to begin with: `sudo make up` installs
# and starts it, `sudo make test` runs every test on a fresh Debian machine.

PYTHON ?= /usr/bin/python3
NEWEST := .venv/newest/bin
CLAUDE := .venv/node/node_modules/.bin/claude
VERSION = $(shell sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
DEB = dist/airoxy_$(VERSION)_all.deb

# What the tests need beside the package's own dependencies (those stand in debian/control).
DOCS_PACKAGES := furo python3-myst-parser python3-sphinx
TEST_PACKAGES := $(DOCS_PACKAGES) ansible-core bash-completion caddy chromium chromium-driver curl fail2ban fish git golang-go \
	haproxy man-db nginx-light openssh-client openssh-server openssl postgresql prometheus python3-hypothesis \
	python3-psycopg2 python3-pytest python3-pytest-timeout python3-pytest-xdist python3-selenium python3-venv shellcheck systemd zsh
SYSTEM_PACKAGES := apt-utils debhelper dpkg-dev gnupg iproute2 lintian mmdebstrap systemd-container
PACKAGE_NEEDS = $(shell sed -n '/^Depends:/,/^[A-Z]/s/^ \(python3-[a-z0-9-]*\).*/\1/p' debian/control)

# Exact versions with hashes.
PINNED := --quiet --disable-pip-version-check --no-deps --require-hashes --requirement
RETRY := tests/retry.sh
NEED_NPM = command -v npm >/dev/null || tests/need.sh nodejs npm
UV_COMPILE = $(RETRY) .venv/pins/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --output-file

# A test that hangs fails, and the others go on; on a slow and busy machine some take minutes. Half of the
# time tests wait: three for two processors. Not more than eight: of many processors a container's share may be small.
PROCESSES = -n $(shell n=$$(($$(nproc) * 3 / 2)); echo $$((n < $(1) ? n : $(1))))
PYTEST_FLAGS ?= $(call PROCESSES,8) --timeout 300
# Compiled once, and not by each process that a test starts: containers often forbid to keep that.
unexport PYTHONDONTWRITEBYTECODE
# Root installs what is missing, and runs the tests that boot a system.
IS_ROOT := $(filter 0,$(shell id -u))

.PHONY: help up deb repo docs screenshots test lint newest demo bench bench-peer bench-soak bench-console bench-fleet soak figures chaos fuzz clean test-debian test-newest test-clients test-system unbooted needs
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 24

up:  ## build the package, install it and start it (root)
	@$(if $(IS_ROOT),,echo "Only root installs packages: sudo make up"; exit 1)
	@debian/build-deb.sh
	@debian/install-deb.sh ./$(DEB)

deb:  ## the Debian package, from the last commit, into dist/
	@debian/build-deb.sh

# Where the repository is put, and which packages; those that are there already stay.
REPO ?= dist/repo
DEBS ?= $(DEB)

repo: $(if $(filter-out file,$(origin DEBS)),,deb)  ## a signed apt repository: KEY=(gpg's name of the key) URL=(where it will be)
	@$(if $(KEY),,echo "Which key signs it? make repo KEY=… URL=…"; exit 1)
	@$(if $(URL),,echo "Where will it be served? make repo KEY=… URL=https://…"; exit 1)
	@debian/make-repo.sh "$(REPO)" "$(URL)" "$(KEY)" $(DEBS)
	@echo "$(REPO) can be served as $(URL). On a machine that is to use it, as root:"
	@echo "  wget -P /etc/apt/sources.list.d $(URL)/airoxy.sources"
	@echo "  apt update && apt install airoxy"

test: $(if $(IS_ROOT),,unbooted) test-debian test-newest test-system test-clients  ## every test

lint: .venv/newest/.complete  ## style and types
	$(NEWEST)/ruff check
	$(NEWEST)/mypy
	shellcheck tests/*.sh .ci/run debian/*.sh debian/airoxy.p* etc/completion/bash/airoxy

newest: .venv/pins/bin/uv  ## move what the tests install on to the newest versions, and run what that touches
	$(UV_COMPILE) tests/newest.txt tests/newest.in
	$(UV_COMPILE) tests/fuzz/pins.txt tests/fuzz/pins.in
	@$(NEED_NPM)
	cd tests/node && ../../$(RETRY) npm install --package-lock-only --save-exact --silent --no-fund --no-audit \
		$$(sed -n 's/^    "\(.*\)": "[0-9.]*",\?$$/\1@latest/p' package.json)
	$(MAKE) --no-print-directory lint test-newest test-clients

docs:  ## the documentation as a site with search, into build/docs
	@$(if $(IS_ROOT),tests/need.sh $(DOCS_PACKAGES))
	sphinx-build -q -b html -d build/doctrees -c docs/site . build/docs
	@echo "build/docs/index.html"

screenshots: needs  ## the documentation's pictures of the console, into docs/pictures
	$(PYTHON) -m tests.console.screenshots

# In the distribution's Python it needs what the package depends on.
demo:  ## airoxy in front of a fake Anthropic: requests, a stream, a failover, the usage log
	@$(if $(filter /usr/bin/python3,$(PYTHON)),tests/need.sh --tell curl python3 $(PACKAGE_NEEDS))
	@PYTHON=$(PYTHON) tests/demo.sh

# What it takes: ROUNDS=1 SECONDS=0.5 for a quick look, ONLY="1 kB" for a part; BESIDE=../before measures the airoxy
# of another checkout in the same rounds.
ROUNDS ?= 3
SECONDS ?= 1

bench: build/bench/load build/bench/upstream  ## speed and memory, beside nginx, into bench/RESULTS.md
	$(PYTHON) -m bench --rounds $(ROUNDS) --seconds $(SECONDS) $(if $(ONLY),--only "$(ONLY)") $(if $(BESIDE),--beside "$(BESIDE)")

bench-soak: build/bench/load build/bench/upstream  ## whether memory stays flat over 200,000 requests
	$(PYTHON) -m bench.soak

bench-console: needs build/bench/load build/bench/upstream  ## speed of the console after years, and what clients notice of it
	$(PYTHON) -m bench.console

bench-fleet: needs  ## what PostgreSQL has to do for a fleet, and how soon a change is everywhere
	$(PYTHON) -m bench.fleet

# On everything at once, and exact: what is counted, and what is left open.
SOAK_SECONDS ?= 3600

soak: needs  ## SOAK_SECONDS of load with all kinds of trouble: nothing grows, every token is counted
	SOAK_SECONDS=$(SOAK_SECONDS) $(PYTHON) -m tests.soak

# Ten minutes on a machine that does nothing else.
figures: needs  ## what docs/reliability.md says in figures
	AIROXY_LOCKED=60 $(PYTHON) -m pytest -qs tests/reliability/test_machine_faults.py -k "database_that_is_held"
	$(PYTHON) -m pytest -qs tests/reliability -k "idle_connections or never_reads or line_end or bomb or longer_than_an_error"
	SOAK_SECONDS=300 $(PYTHON) -m tests.soak

# With the faults of the machine, which root can do more of. CHAOS_SEED=… repeats a run's faults.
CHAOS_SECONDS ?= 3600

chaos: needs  ## CHAOS_SECONDS of load with random faults, and whether every promise was kept
	CHAOS_SECONDS=$(CHAOS_SECONDS) $(PYTHON) -m tests.chaos

# On the distribution's versions, whose parsers are the older ones.
FUZZ_SECONDS ?= 600

fuzz: .venv/fuzz/.complete  ## what parses strange bytes, for FUZZ_SECONDS in all; finds are in build/fuzz
	FUZZ_SECONDS=$(FUZZ_SECONDS) .venv/fuzz/bin/python -m tests.fuzz $(ONLY)

.venv/fuzz/.complete: tests/fuzz/pins.txt | needs
	$(PYTHON) -m venv --system-site-packages $(@D)
	$(RETRY) $(@D)/bin/pip install $(PINNED) $<
	touch $@

bench-peer:  ## LiteLLM, for `make bench` to compare with
	$(PYTHON) -m venv .venv/litellm
	.venv/litellm/bin/pip install --quiet 'litellm[proxy]'

build/bench/%: bench/%.c
	@$(if $(IS_ROOT),tests/need.sh gcc libssl-dev nginx-light)
	mkdir -p $(@D)
	$(CC) -O2 -Wall -Wextra -o $@ $< $(if $(filter upstream,$*),-lssl -lcrypto)

clean:  ## remove what was built and downloaded
	rm -rf build dist .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

# The parts of `make test`

test-debian: needs .venv/node/.complete
	$(PYTHON) -m pytest $(PYTEST_FLAGS) -m "not clients and not system"

test-newest: needs .venv/newest/.complete .venv/node/.complete
	$(NEWEST)/python -m pytest $(PYTEST_FLAGS) $(shell grep -v '^#' tests/versions.txt)

# The clients of the newest environment, and airoxy on the distribution's versions.
test-clients: needs .venv/newest/.complete .venv/node/.complete
	AIROXY_TEST_PYTHON=$(PYTHON) $(NEWEST)/python -m pytest $(PYTEST_FLAGS) tests/clients

# Boots systems with the package installed.
test-system: needs
ifdef IS_ROOT
	@tests/need.sh $(SYSTEM_PACKAGES)
	$(PYTHON) -m pytest $(call PROCESSES,6) --dist loadgroup --timeout 3600 -m system tests/system
endif

unbooted:
	@echo "Not root: the tests that boot a system with the package are left out."

needs:
	@tests/need.sh $(TEST_PACKAGES) $(PACKAGE_NEEDS)

.venv/newest/.complete: tests/newest.txt | needs
	$(PYTHON) -m venv $(@D)
	$(RETRY) $(NEWEST)/pip install $(PINNED) $<
	touch $@

.venv/node/.complete: tests/node/package-lock.json tests/node/package.json | needs
	@$(NEED_NPM)
	mkdir -p $(@D)
	cp $^ $(@D)
	$(RETRY) npm ci --silent --no-fund --no-audit --prefix $(@D)
	$(CLAUDE) --version
	touch $@

# What moves the pins on is the only thing that is not pinned.
.venv/pins/bin/uv: | needs
	$(PYTHON) -m venv .venv/pins
	$(RETRY) .venv/pins/bin/pip install --quiet --disable-pip-version-check uv
