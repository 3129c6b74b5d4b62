"""What a first call costs, and that a second call traces and compiles nothing.

Iris 4-50-50-3, 4 chains, 200 + 200, tree depth 6; each algorithm in a separate process.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.common import table

CODE = """
import time, jax
from benchmarks.common import iris_model
counts = {"trace": 0, "compile": 0}
events = {"/jax/core/compile/jaxpr_trace_duration": "trace",
          "/jax/core/compile/backend_compile_duration": "compile"}
def listen(event, duration, **_):
    if event in events:
        counts[events[event]] += 1
jax.monitoring.register_event_duration_secs_listener(listen)
model = iris_model()
kw = dict(num_chains=4, num_warmup=200, num_draws=200, progress=False)
method = getattr(model.mcmc, NAME)
def timed(model, seed):
    before, began = dict(counts), time.perf_counter()
    getattr(model.mcmc, NAME)(seed=seed, **kw, **OPTIONS)
    seconds = time.perf_counter() - began
    return f"{seconds:.1f}", *(str(counts[k] - before[k]) for k in counts)
first, second = timed(model, 0), timed(model, 1)
third = timed(iris_model(), 2)
print("\\t".join([first[0], *second, *third]))
"""


def main() -> str:
    """The table."""
    rows = []
    for name, options in (
        ("numpyro_nuts", {"max_tree_depth": 6}),
        ("blackjax_nuts", {"max_num_doublings": 6}),
        ("blackjax_mclmc", {}),
    ):
        code = CODE.replace("NAME", repr(name)).replace("OPTIONS", repr(options))
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        rows.append([f"`{name}`", *done.stdout.split("\n")[-2].split("\t")])
    head = ["", "first call, s"]
    for call in ("second call", "new model, same shapes"):
        head += [f"{call}, s", "traces", "compilations"]
    return table(head, rows)


if __name__ == "__main__":
    print(main())
