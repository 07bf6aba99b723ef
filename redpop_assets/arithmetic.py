"""Which instructions libraries add up with, where figures are to be the same on other machines.

A sum rounds otherwise in wider registers, and models amplify the last bit. Libraries choose by what the processor has;
these variables hold them to what every x86 processor since 2013 has, and are read when a library is loaded: so they
have to stand in the environment before a process begins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SAME_EVERYWHERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
        "MKL_CBWR": "AVX2",  # its matrix products: "conditional numerical reproducibility"
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # numpy; what a processor lacks is passed over
        "OMP_NUM_THREADS": "1",
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's and OpenVINO's networks
        "OPENBLAS_CORETYPE": "Haswell",  # numpy's and scipy's matrix products
    }
)
"""Variables of libraries, and their values."""


def is_same_everywhere(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a process with this environment, by default this one, computes as it would on another machine."""
    return all(environment.get(name) == value for name, value in SAME_EVERYWHERE.items())
