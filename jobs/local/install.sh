#!/bin/sh
# Makes the virtual environment and installs a requirements file into it.
#
# graph-tool is not on PyPI. Debian has it for its own Python, so the environment is made from
# /usr/bin/python3 and sees the system's packages.
set -eu
requirements=$1

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

if ! /usr/bin/python3 -c 'import graph_tool, ensurepip' 2>/dev/null; then
    if ! command -v apt-get >/dev/null; then
        echo "graph-tool is missing and this is no Debian: install it from conda-forge (conda install graph-tool)" >&2
        exit 2
    fi
    echo "installing graph-tool with apt-get"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        python3-venv python3-graph-tool >/dev/null
fi
if [ ! -x .venv/bin/python ]; then
    echo "making the virtual environment .venv"
    /usr/bin/python3 -m venv --system-site-packages .venv
fi
echo "installing $requirements"
.venv/bin/python -m pip install -q --disable-pip-version-check -r "$requirements" 2>&1 | grep -v '^WARNING: Location' || true
