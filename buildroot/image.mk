# SPDX-License-Identifier: MIT
# Included by the Makefile: a firmware image of this checkout. ARCH is one of x86_64 i386 mipsel mips.
.PHONY: image
image: DEBIAN = $(BUILD_PACKAGES) $(GUEST_PACKAGES) squashfs-tools
image: debian $(VENV)/installed $(VENV)/test
	$(BIN)/python -m buildroot.image --arch $(or $(ARCH),x86_64) $(IMAGE_ARGS)
