#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes configure and what it needs. Wants autoconf, automake, libtool and pkg-config.
set -e
cd "$(dirname "$0")"
autoreconf --install "$@"
