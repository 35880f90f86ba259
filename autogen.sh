#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes ./configure and config.h.in from configure.ac.
set -e
cd "$(dirname "$0")"
for tool in autoconf autoheader pkg-config; do
	command -v "$tool" >/dev/null || {
		echo "autogen.sh: $tool is missing; \"tests/deps.sh build\" installs what a build needs" >&2
		exit 1
	}
done
autoheader
autoconf
