"""Whether the kernels written in Triton can be used here; there is no setting for it."""

from __future__ import annotations

import logging
from functools import cache

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def can_use_triton(x: Tensor) -> bool:
    """Whether x is of a type that the kernels are made for, and lies on a GPU that Triton compiles for."""
    return x.is_cuda and x.dtype in _DTYPES and _compiles_for(x.get_device())


@cache
def _compiles_for(device: int) -> bool:
    """Older GPUs than Ampere, PyTorch without Triton, and machines without a C compiler take the other ways."""
    if torch.version.hip is None and torch.cuda.get_device_capability(device) < (8, 0):
        return False
    try:
        from triton.runtime import driver

        driver.active.get_current_target()  # Triton compiles its link to the GPU driver with the machine's C compiler
    except ImportError:
        return False
    except Exception as error:  # whatever is missing there: everything can be computed without Triton
        logger.warning("Triton does not work here, slower ways replace its kernels: %s", error)
        return False
    return True
