"""bayeux's type aliases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Point = Any
JAXFn = Callable[[Point], Point]
MaybeJAXFn = JAXFn | Any
LogDensityFn = Callable[[Point], Any]
