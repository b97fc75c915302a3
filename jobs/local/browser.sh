#!/bin/sh
# Installs Debian's Chromium and its driver for the tests of pages, in CI alone: a machine of one's own is asked
# nothing, and its tests are left out. Whatever happens here, the tests say what is missing.
set -eu
[ "${CI:-}" = true ] || exit 0
command -v chromium >/dev/null && command -v chromedriver >/dev/null && exit 0
command -v apt-get >/dev/null || exit 0

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

echo "installing chromium with apt-get"
{
    as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
            chromium chromium-driver >/dev/null
} || echo "apt-get installed no chromium; its tests say so" >&2
