# The image of an aggregator, which needs neither TensorFlow nor Flower. Each
# organisation builds it itself, from a commit that both agreed on.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# All that is installed has its hash in a lock, also the tool that builds our wheel.
COPY requirements.lock aggregator.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    sed -n '/^setuptools==/,/[^\\]$/p' requirements.lock > tools.lock \
    && python -m venv --without-pip /tools \
    && pip --python /tools/bin/python install --require-hashes -r tools.lock \
    && python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --require-hashes -r aggregator.lock
COPY pyproject.toml README.md ./
COPY fedsecure fedsecure
COPY aggregator aggregator
RUN pip --python /tools/bin/python wheel --no-deps --no-build-isolation -w dist . \
    && pip --python /venv/bin/python install --no-deps --no-index dist/*.whl
# The packages' own tests, stubs, what is for compiling against them, what colours
# source texts of other languages, and parts of numpy that no server loads: 38 MB.
RUN find /venv \( -type d \( -name tests -o -name testing \
        -o -path '*/numpy/f2py' -o -path '*/numpy/distutils' \
        -o -path '*/numpy/ma' -o -path '*/numpy/polynomial' \) \
        -o -name '*.py[ix]' -o -name '*.pxd' -o -name '*.[ach]' \
        -o -path '*/numpy/_core/_simd.*' -o -path '*/numpy/_core/*_tests.*' \
        -o -path '*/pygments/lexers/*' \
        ! -name '__*' ! -name '_mapping.*' ! -name 'python.*' \) \
    -prune -exec rm -r {} +

FROM python:3.11-slim-bookworm AS aggregator
RUN useradd --system --uid 10001 --user-group --no-create-home \
        --home-dir /nonexistent --shell /usr/sbin/nologin fedsecure \
    && install --directory --owner 10001 --group fedsecure --mode 0700 /data
COPY --from=build /venv /venv
# numpy's BLAS, unused here, would start a thread for each of the host's processors.
ENV PATH=/venv/bin:$PATH OPENBLAS_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8443
ENTRYPOINT ["fedsecure", "aggregator"]
CMD ["--config", "/etc/fedsecure/aggregator.toml"]
