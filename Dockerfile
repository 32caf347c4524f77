# Three images, one for each kind of party; each organisation builds its own, from a
# commit that all agreed on:
#
#     aggregator   neither TensorFlow nor Flower; 150 MB above its base
#     owner        trains and reviews; the agent's layers but for the last
#     agent        a data owner's
#
# All that is installed has its hash in a lock, also the tool that builds our wheel.

FROM python:3.11-slim-bookworm AS wheel
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    sed -n '/^setuptools==/,/[^\\]$/p' requirements.lock > tools.lock \
    && python -m venv --without-pip /tools \
    && pip --python /tools/bin/python install --require-hashes -r tools.lock
COPY pyproject.toml README.md ./
COPY fedsecure fedsecure
COPY clients clients
COPY aggregator aggregator
RUN pip --python /tools/bin/python wheel --no-deps --no-build-isolation -w /dist . ./aggregator ./clients

# A user without rights and without a home, its folder for data, and no program that
# gives anybody rights: for all three.
FROM python:3.11-slim-bookworm AS base
RUN useradd --system --uid 10001 --user-group --no-create-home \
        --home-dir /nonexistent --shell /usr/sbin/nologin fedsecure \
    && install --directory --mode 0755 /federation \
    && install --directory --owner 10001 --group fedsecure --mode 0700 \
        /federation/data /federation/state \
    && find / -xdev -type f -perm /6000 -delete
ENV PATH=/venv/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

FROM base AS aggregator-venv
COPY aggregator.lock /
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --require-hashes -r aggregator.lock
COPY --from=wheel /dist /dist
RUN pip --python /venv/bin/python install --no-deps --no-index \
        /dist/fedsecure-*.whl /dist/fedsecure_aggregator-*.whl
# The packages' own tests, stubs, what is for compiling against them, what colours
# source texts of other languages, and parts of numpy and pydantic that no server
# loads: 44 MB.
RUN find /venv \( -type d \( -name tests -o -name testing \
        -o -path '*/numpy/f2py' -o -path '*/numpy/distutils' \
        -o -path '*/numpy/ma' -o -path '*/numpy/polynomial' \
        -o -path '*/numpy/random' -o -path '*/numpy/fft' \
        -o -path '*/pydantic/v1' \) \
        -o -name '*.py[ix]' -o -name '*.pxd' -o -name '*.[ach]' \
        -o -path '*/numpy/_core/_simd.*' -o -path '*/numpy/_core/*_tests.*' \
        -o -path '*/pygments/lexers/*' \
        ! -name '__*' ! -name '_mapping.*' ! -name 'python.*' \) \
    -prune -exec rm -r {} +

FROM base AS aggregator
COPY --from=aggregator-venv /venv /venv
# numpy's BLAS would start a thread for each of the host's processors; products of jobs
# are made one at a time.
ENV OPENBLAS_NUM_THREADS=1
USER 10001
WORKDIR /federation
EXPOSE 8443
ENTRYPOINT ["fedsecure"]
CMD ["aggregator"]

# TensorFlow and Flower: installed where they stay, for copying 1.3 GB takes long. What
# is for compiling against them, tests, and what installs more go in the same step; byte
# code comes, or each start would take 20 s longer.
FROM base AS training
COPY training.lock /tmp/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-compile --require-hashes -r /tmp/training.lock \
    && find /venv \( -type d \( -path '*/tensorflow/include' -o -path '*/pyarrow/include' \
            -o -path '*/site-packages/clang' -o -name tests -o -path '*/numpy/f2py' \) \
            -o -path '/venv/bin/uv*' -o -name '*.py[ix]' -o -name '*.pxd' -o -name '*.[ach]' \) \
        -prune -exec rm -r {} + \
    && /venv/bin/python -m compileall -q -j 0 /venv
COPY --from=wheel /dist /tmp/dist
RUN pip --python /venv/bin/python install --no-deps --no-index /tmp/dist/*.whl \
    && rm -r /tmp/dist /tmp/training.lock && rmdir -p --ignore-fail-on-non-empty /root/.cache/pip
# Flower asks nobody and installs nothing; TensorFlow looks for no graphics card, and
# rounds in the same order everywhere.
ENV FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1 \
    FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1 \
    TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 TF_ENABLE_ONEDNN_OPTS=0 HOME=/tmp
USER 10001
WORKDIR /federation

FROM training AS owner
EXPOSE 9092
ENTRYPOINT ["fedsecure"]
CMD ["train"]

FROM training AS agent
ENTRYPOINT ["fedsecure"]
CMD ["agent"]
