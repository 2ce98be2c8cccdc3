# `maskrcnn serve` in a container; docs/deploy.md says how to build and run it.

FROM python:3.11-slim AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/maskrcnn

# PyTorch first, by itself: it weighs most and changes least often. By default that is its CUDA build; the CPU build, a
# tenth of it, is on an index of its own: PIP_OPTIONS="--extra-index-url ...".
ARG PIP_OPTIONS=""
WORKDIR /source
COPY constraints.txt ./
RUN /opt/maskrcnn/bin/pip install $PIP_OPTIONS --constraint constraints.txt torch

COPY pyproject.toml MANIFEST.in README.md LICENSE ./
COPY build_tools build_tools
COPY src src
RUN /opt/maskrcnn/bin/pip install $PIP_OPTIONS --constraint constraints.txt ".[serve]"


FROM python:3.11-slim

RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent maskrcnn
COPY --from=build /opt/maskrcnn /opt/maskrcnn

ENV PATH=/opt/maskrcnn/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/live', timeout=4)"]

ENTRYPOINT ["maskrcnn", "serve", "--host", "0.0.0.0"]
CMD ["--model", "nuclei"]
