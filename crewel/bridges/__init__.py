"""Turn what a user has, a network or a program, into a `Model`.

`networks/` has a file for each network library; `models/` has one for each model language.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from typing import Any

ENTRY_POINT = "crewel.bridges"

# Network libraries: the module prefix of their classes, and their file in `networks/`.
_OWN = {
    "flax.linen": "linen",
    "flax.nnx": "nnx",
    "haiku": "haiku",
    "equinox": "equinox",
}
_PLAIN = "function"


class Networks(Mapping[str, str]):
    """Network libraries by module prefix: those of this package and those of other packages.

    Another package adds a library by an entry point in the group `crewel.bridges`: the name is the
    module prefix that it serves, the value its function `bridge`.

    Examples:
        >>> "flax.linen" in NETWORKS
        True
    """

    def _all(self) -> dict[str, str]:
        found = {prefix: f"{__name__}.networks.{name}:bridge" for prefix, name in _OWN.items()}
        for entry in importlib.metadata.entry_points(group=ENTRY_POINT):
            found.setdefault(entry.name, entry.value)
        return found

    def __getitem__(self, prefix: str) -> str:
        """Return the location of the bridge, `module:function`."""
        return self._all()[prefix]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the prefixes."""
        return iter(self._all())

    def __len__(self) -> int:
        """Return the number of libraries."""
        return len(self._all())


NETWORKS = Networks()


def load(prefix: str | None) -> Callable[..., Any]:
    """Load the function `bridge` of a prefix in `NETWORKS`; `None` stands for plain functions."""
    where = f"{__name__}.networks.{_PLAIN}:bridge" if prefix is None else NETWORKS[prefix]
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)
