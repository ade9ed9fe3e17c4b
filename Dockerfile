# The agent, for every organisation the same: what it is, its command line and its volumes say.
#
# The first stage installs what the lock files pin, by hash; the second one gets the result, and neither pip's leftovers
# nor what builds. Works with any Python from 3.11 on.
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements-build.lock requirements-runtime.lock ./
RUN python -m venv tools \
 && tools/bin/pip install --quiet --no-deps --require-hashes --requirement requirements-build.lock \
 && python -m venv --without-pip /opt/agent \
 && tools/bin/pip --python /opt/agent/bin/python install --quiet --no-compile --no-deps --only-binary :all: \
    --require-hashes --requirement requirements-runtime.lock
COPY pyproject.toml README.md ./
COPY protocol protocol
COPY agents agents
RUN tools/bin/pip wheel --quiet --no-build-isolation --no-deps --wheel-dir wheel . \
 && tools/bin/pip --python /opt/agent/bin/python install --quiet --no-compile --no-deps wheel/*.whl \
 && /opt/agent/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/agent/lib

FROM ${PYTHON}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Apostille agent" org.opencontainers.image.version="${VERSION}"
# A new volume takes over the owner and the mode of the directory that it is mounted on.
RUN groupadd --gid 10001 agent \
 && useradd --uid 10001 --gid agent --no-create-home --home-dir /var/lib/agent --shell /usr/sbin/nologin agent \
 && install --directory --owner agent --group agent --mode 700 /var/lib/agent
COPY --from=build /opt/agent /opt/agent
ENV PATH=/opt/agent/bin:$PATH AGENT_HOME=/var/lib/agent PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["agent", "status", "--health"]
ENTRYPOINT ["agent"]
CMD ["run"]
