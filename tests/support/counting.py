"""A count of what JAX traces and compiles."""

from __future__ import annotations

from contextlib import contextmanager

import jax

_counts = {"trace": 0, "compile": 0}
_EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/backend_compile_duration": "compile",
}


def _listen(event: str, duration: float, **_) -> None:
    if event in _EVENTS:
        _counts[_EVENTS[event]] += 1


jax.monitoring.register_event_duration_secs_listener(_listen)


@contextmanager
def counting():
    """Count traces and compilations inside the block."""
    before = dict(_counts)
    found: dict[str, int] = {}
    yield found
    found.update({name: _counts[name] - before[name] for name in _counts})
