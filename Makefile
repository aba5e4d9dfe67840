# SPDX-License-Identifier: MIT
# Every target installs what it needs (Debian packages, a virtual environment in .venv) and can be run again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell git ls-files -- jail preload initd json-filters setup.py pyproject.toml 2>/dev/null || \
	find jail preload initd json-filters setup.py pyproject.toml -type f)

BUILD_PACKAGES := gcc libc6-dev musl-tools python3-dev python3-venv
DEMO_PACKAGES := dnsmasq-base dropbear-bin bind9-dnsutils
# the kernel's headers of the other architectures: the system call tables are compared with them
HEADER_PACKAGES := $(foreach arch,mips mipsel i386 armhf arm64 riscv64,linux-libc-dev-$(arch)-cross)
# what the daemons of the tests need, which are unpacked themselves, not installed; and what BusyBox is built with
DAEMON_PACKAGES := libavahi-core7 libcjson1 libdaemon0 libdlt2 libedit2 libmosquitto1 libpcre2-8-0 libwrap0 libxxhash0 \
	openssl bzip2 dpkg-dev make
TEST_PACKAGES := $(DEMO_PACKAGES) $(HEADER_PACKAGES) $(DAEMON_PACKAGES) busybox-static gcc-multilib iproute2 libcap2-bin libseccomp2 strace
LINT_PACKAGES := clang-format shellcheck
BENCH_PACKAGES := bubblewrap firejail crun valgrind libc6-dbg binutils strace libseccomp2

.PHONY: help demo test lint bench clean install

help:
	@echo "make demo   run real daemons in jails and explain a denied call (root)"
	@echo "make test   run all tests, in QEMU guests too (root; what needs it is skipped without it, aloud)"
	@echo "make test-guests [ARCH=mips]   the guests alone; make guest-shell ARCH=mips is for looking around"
	@echo "make image [ARCH=mips]   a bootable firmware with its services in jails, booted and tried in QEMU"
	@echo "make lint   ruff, mypy, clang-format, C warnings, shellcheck"
	@echo "make bench  measure the budgets beside what else is installed (root)"
	@echo "make install [DESTDIR=] [PREFIX=/usr] [REPLACE=yes]   commands, manuals, and the files of init scripts"
	@echo "make clean  remove what was built"

demo: DEBIAN = $(BUILD_PACKAGES) $(DEMO_PACKAGES)
demo: debian $(VENV)/installed
	@demo/run $(BIN)

test: DEBIAN = $(BUILD_PACKAGES) $(TEST_PACKAGES)
test: debian $(VENV)/installed $(VENV)/test
	$(BIN)/python -m tests.guest.borrowed $(VENV)/daemons
	@[ "$$STOCKADE_GUESTS" = 0 ] || $(MAKE) --no-print-directory debian DEBIAN="$(GUEST_PACKAGES)" || true
	$(BIN)/python -m tests.everything $(PYTEST_ARGS)

lint: DEBIAN = $(BUILD_PACKAGES) $(LINT_PACKAGES)
lint: debian $(VENV)/installed $(VENV)/test $(VENV)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	clang-format --dry-run --Werror $(shell git ls-files -- '*.c' '*.h' ':!preload/syscalls')
	# ownership that goes through the plan's array of steps is beyond the analyzer: no malloc-leak
	for f in preload/*.c jail/native/*.c; do \
		gcc -std=gnu11 -Os -Wall -Wextra -Wvla -Wshadow -Wno-unused-parameter -Werror -D_FORTIFY_SOURCE=2 \
			-fanalyzer -Wno-analyzer-malloc-leak -fstack-protector-strong -Ipreload -Ijail/native -c $$f -o /dev/null || exit 1; done
	shellcheck -S warning $(shell git grep -lE '^(#!(/usr)?/bin/(env )?(ba)?sh|# shellcheck shell=)' -- ':!*.c' ':!*.py')

bench: DEBIAN = $(BUILD_PACKAGES) $(BENCH_PACKAGES)
bench: debian $(VENV)/installed $(VENV)/test
	$(BIN)/python tests/bench/run.py $(BENCH_ARGS)

DESTDIR =
PREFIX = /usr
install: DEBIAN = $(BUILD_PACKAGES)
install: debian $(VENV)/installed
	@$(BIN)/python install.py '$(DESTDIR)' '$(PREFIX)' '$(REPLACE)'

-include tests/guest/guest.mk
-include buildroot/image.mk

clean:
	rm -rf $(VENV) build *.egg-info

# Only what is missing, and again when a mirror has a hiccup; without root or apt it says what to install
.PHONY: debian
debian:
	@missing=; for p in $(DEBIAN); do \
		dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; \
		for pause in 5 10 20 0; do \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
				--no-install-recommends $$missing >/dev/null && exit 0; \
			[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || break; sleep $$pause; done; \
		echo "please install:$$missing" >&2; exit 1; fi

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python $(SOURCES)
	rm -rf build
	$(BIN)/pip install -q --disable-pip-version-check .
	@touch $@

$(VENV)/test: pyproject.toml | $(VENV)/installed
	$(BIN)/pip install -q --disable-pip-version-check '.[test]'
	@touch $@

$(VENV)/lint: pyproject.toml | $(VENV)/installed
	$(BIN)/pip install -q --disable-pip-version-check '.[lint]'
	@touch $@
