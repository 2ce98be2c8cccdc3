"""Ops as Triton kernels, for GPUs."""
