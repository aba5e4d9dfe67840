# SPDX-License-Identifier: MIT
# Included by the Makefile: the suites in QEMU guests. ARCH names one of x86_64 i386 mipsel mips, else all four run.
GUEST_PACKAGES := qemu-system-x86 qemu-system-mips gcc-multilib musl-tools make flex bison bc e2fsprogs dpkg-dev xz-utils

.PHONY: test-guests guest-shell
test-guests: DEBIAN = $(BUILD_PACKAGES) $(GUEST_PACKAGES)
test-guests: debian $(VENV)/installed $(VENV)/test
	$(BIN)/python -m tests.guest $(addprefix --arch ,$(ARCH))

guest-shell: DEBIAN = $(BUILD_PACKAGES) $(GUEST_PACKAGES)
guest-shell: debian $(VENV)/installed $(VENV)/test
	$(BIN)/python -m tests.guest --shell $(or $(ARCH),x86_64)
