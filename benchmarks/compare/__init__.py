"""Ours beside torchvision: same weights, same input, same threads, turn by turn; and how cost grows.

    python -m benchmarks.compare                     every scenario of `scenarios.py`
    python -m benchmarks.compare --only fpn-100      some of them
    python -m benchmarks.compare curves              cost against images, area, proposals, detections, classes, batch

Each side is a worker process of its own, asked over a pipe, which measures its own time and its own peak memory. What
both find is compared first; where it differs nothing is timed. Then they take turns (A B A B ...), and ratios are
medians over the pairs, since machines are noisy. Results go to `benchmarks/results`.

torchvision runs with its compiled operators, in an environment of its own:

    python3 -m venv torchvision-env
    torchvision-env/bin/pip install torchvision     # brings its own torch, the CUDA build on Linux, which runs on CPUs
    python -m benchmarks.compare --torchvision-python torchvision-env/bin/python      # or TORCHVISION_PYTHON=...

Python 3.11 or newer. Nothing else is needed there: the worker takes what it shares with ours from this repository.
Without it, ours is measured alone. torchvision is measured twice: as it is installed, and at its best, with weights
that are channels-last and an allocator that is told to keep its memory (ours does both by itself).
"""
