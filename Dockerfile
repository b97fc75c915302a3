# The image of the Cloud Run Jobs: Debian's Python with graph-tool, the packages of requirements.txt, and
# jobs/ and shared/. Built by `make image`; what .dockerignore lets through is all that can get in.
#
# checkov:skip=CKV_DOCKER_2:Cloud Run asks no task of a Job how it is; its timeout ends one that hangs

# ---- what Debian has: its Python, graph-tool, numpy and scipy ------------------------------------------------
FROM debian:bookworm-slim AS system

# Debian's scipy asks for pythran, which it was built with and never runs, and so for g++ and 700 MB of headers.
# An empty package answers for it, so that no compiler comes in.
RUN mkdir -p /tmp/no-pythran/DEBIAN \
    && printf '%s\n' 'Package: no-pythran' 'Version: 1' 'Architecture: all' 'Provides: python3-pythran' \
        'Maintainer: nobody' 'Description: answers for pythran, which scipy asks for and does not run' \
        >/tmp/no-pythran/DEBIAN/control \
    && dpkg-deb --build /tmp/no-pythran \
    && dpkg --install /tmp/no-pythran.deb \
    && rm -r /tmp/no-pythran /tmp/no-pythran.deb

# A stable release has one version of a package at a time; a pinned one is gone with the next security fix.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-graph-tool \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/*

# ---- what PyPI has: a virtual environment, made where pip is, taken along without it --------------------------
FROM system AS environment

# The same reason as above.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*

COPY requirements.txt constraints.txt /tmp/
# Wheels only: nothing is compiled, so no stage needs a compiler.
RUN python3 -m venv --system-site-packages /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --only-binary :all: -r /tmp/requirements.txt \
    && /opt/venv/bin/python -m pip uninstall -y pip setuptools

# ---- the image ------------------------------------------------------------------------------------------------
FROM system

LABEL org.opencontainers.image.title="chunkedgraph-ingest" \
      org.opencontainers.image.description="Workers that build a chunked graph in Bigtable" \
      org.opencontainers.image.version="0.9.0"

# A number, as Kubernetes and policies want it; the name is for people.
RUN useradd --no-log-init --create-home --uid 10001 worker

COPY --from=environment /opt/venv /opt/venv

# A worker is one process for each CPU, so threads of numerical libraries would only take turns.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1

WORKDIR /app
COPY shared shared
COPY jobs jobs
# The user may not write here, so bytecode is made now: a task is paid for from its first second.
RUN python -m compileall -q --invalidation-mode unchecked-hash shared jobs

USER 10001:10001
ENTRYPOINT ["python", "-m", "jobs.task"]
