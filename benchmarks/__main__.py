"""Run all benchmarks, or those named, and print tables: `python -m benchmarks [name ...]`."""

from __future__ import annotations

import importlib
import sys

ALL = (
    "steady_state",
    "gradients",
    "placement",
    "first_call",
    "memory",
    "minibatch",
    "against_bayeux",
    "mclmc_bias",
    "mclmc_seeds",
)

for name in sys.argv[1:] or ALL:
    module = importlib.import_module(f"benchmarks.{name}")
    print(f"\n## {name}\n\n{module.__doc__}", flush=True)
    print(f"\n{module.main()}\n", flush=True)
