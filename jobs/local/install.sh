#!/bin/sh
# Makes the virtual environment and installs a requirements file into it.
#
# graph-tool is not on PyPI. Debian has it for its own Python, so the environment is made from
# /usr/bin/python3 and sees the system's packages. An environment that is half there (its making was
# interrupted, its Python is gone or another one by now) is made anew. Ends with 2 where something must
# be installed by hand, with 75 where the same command may work later.
set -eu
requirements=$1
# Variables and packages of other programs are not for this one.
system="/usr/bin/python3 -E -s"
own=".venv/bin/python -E -s"
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_DRY_RUN PYTHONHOME PYTHONPATH || true

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

fail() {
    echo "$2" >&2
    exit "$1"
}

if ! $system -c 'import graph_tool, ensurepip' 2>/dev/null; then
    command -v apt-get >/dev/null ||
        fail 2 "graph-tool is missing and this is no Debian: install it from conda-forge (conda install graph-tool)"
    echo "installing graph-tool with apt-get"
    as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
            python3-venv python3-graph-tool >/dev/null ||
        fail 75 "apt-get installed no graph-tool; the same command tries again"
fi
if ! $own -m pip --version >/dev/null 2>&1; then
    echo "making the virtual environment .venv"
    rm -rf .venv
    $system -m venv --system-site-packages .venv ||
        fail 75 "the environment .venv could not be made; the same command tries again"
fi
echo "installing $requirements"
# Its warnings name places where packages of the system are; its errors come last.
$own -m pip install -q --disable-pip-version-check -r "$requirements" >.venv/pip.log 2>&1 || {
    grep -v '^WARNING: Location' .venv/pip.log >&2
    fail 75 "pip could not install $requirements; the same command tries again"
}
grep -v '^WARNING: Location' .venv/pip.log || true
# The command line by name, from any folder; `chunkedgraph-ingest completion bash` has the shell complete it.
cat >.venv/bin/chunkedgraph-ingest <<EOF
#!$PWD/.venv/bin/python -Es
import sys

sys.path.insert(0, "$PWD")
from jobs.cli import main

main()
EOF
chmod +x .venv/bin/chunkedgraph-ingest
