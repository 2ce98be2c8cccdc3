# `maskrcnn serve` in a container; docs/deploy.md says how to build and run it. Two images:
#
#   docker build .                  with PyTorch and the bundled models
#   docker build --target onnx .    without PyTorch, for a model that `maskrcnn export` has written

FROM python:3.11-slim AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PYTHON=/opt/maskrcnn/bin/python
RUN python -m venv --without-pip /opt/maskrcnn

# PyTorch first, by itself: it weighs most and changes least often. By default that is its CUDA build; the CPU build, a
# tenth of it, is on an index of its own: PIP_OPTIONS="--extra-index-url ...".
ARG PIP_OPTIONS=""
WORKDIR /source
COPY constraints.txt ./
RUN pip install $PIP_OPTIONS --constraint constraints.txt torch

COPY pyproject.toml MANIFEST.in README.md LICENSE ./
COPY build_tools build_tools
COPY src src
RUN pip install $PIP_OPTIONS --constraint constraints.txt ".[serve]"


FROM python:3.11-slim AS build-onnx

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PYTHON=/opt/maskrcnn/bin/python
RUN python -m venv --without-pip /opt/maskrcnn
ARG PIP_OPTIONS=""
WORKDIR /source
COPY requirements-runtime.txt ./
RUN pip install $PIP_OPTIONS --requirement requirements-runtime.txt \
    starlette uvicorn h11 prometheus-client

COPY pyproject.toml MANIFEST.in README.md LICENSE ./
COPY build_tools build_tools
COPY src src
RUN pip install $PIP_OPTIONS --no-deps .


FROM python:3.11-slim AS base

RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent maskrcnn
ENV PATH=/opt/maskrcnn/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/live', timeout=4)"]
ENTRYPOINT ["maskrcnn", "serve", "--host", "0.0.0.0"]


FROM base AS onnx

COPY --from=build-onnx /opt/maskrcnn /opt/maskrcnn
CMD ["--model", "/models/model.onnx"]


FROM base AS torch

COPY --from=build /opt/maskrcnn /opt/maskrcnn
CMD ["--model", "nuclei"]
