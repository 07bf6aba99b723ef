"""numpy and pyarrow for modules that also declare something: they are imported when something is computed.

Every process of Dagster imports all families of features, predictors and analyses to learn what there is, and computes
with few of them or none. So these modules, and what they import at the top, have `np`, `npt` and `pa` from here, and
`from __future__ import annotations`, by which types are not computed either. All others import the libraries as usual.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

__all__ = ["np", "npt", "pa"]


class Later(ModuleType):
    """A module of that name, imported when something of it is first asked for.

    `importlib.util.LazyLoader` would do, but for threads: in some releases of Python 3.11 and 3.12 one of two that ask
    at once is given half a module.
    """

    def __getattr__(self, name: str) -> Any:
        module = import_module(self.__name__)
        vars(self).update(vars(module))  # from now on what is asked for is found without this detour
        return getattr(module, name)


if not TYPE_CHECKING:
    np, npt, pa = Later("numpy"), Later("numpy.typing"), Later("pyarrow")
