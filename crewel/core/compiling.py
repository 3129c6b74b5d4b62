"""Compile once: a cache of programs, keyed on code, shapes, dtypes and devices, never on numbers.

The programs are compiled ahead of the run, so that a broken model fails before any work, threads
share one executable, and a second call with other data, seeds or priors compiles nothing.
"""

from __future__ import annotations

import gc
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from crewel.core.trees import path_str

CROWDED = 0.5  # of the memory maps that a process may have
_LIMIT = 128  # programs kept; the least recently used goes first
_SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_debug_nans",
    "jax_default_device",
)
_programs: OrderedDict[Hashable, Program] = OrderedDict()
_lock = threading.Lock()


# On JAX 0.10, two programs that run at once on a CPU, each with linear algebra on batches of
# matrices, wait for each other for good; 0.5 and 0.12 do not.
_HANGS = (0, 6) <= tuple(map(int, jax.__version__.split(".")[:2])) < (0, 12)
_BATCHED = re.compile(r'custom_call @lapack_\w+.*num_batch_dims = "[1-9]')


class Program:
    """One traced function: its outputs' shapes, and the executable once it is compiled.

    Attributes:
        out_info: shapes and dtypes of the outputs.
        alone: whether it must not run beside another program.
    """

    def __init__(self, lowered: Any):
        """Hold a `jax.stages.Lowered` until `compile_all` asks for the executable."""
        self.out_info = lowered.out_info
        cpu = jax.default_backend() == "cpu"
        self.alone = cpu and _HANGS and bool(_BATCHED.search(lowered.as_text()))
        self._lowered: Any = lowered
        self._executable: Any = None
        self._lock = threading.Lock()

    def compile(self) -> None:
        """Compile, if that has not been done; a thread that comes second waits."""
        with self._lock:
            if self._lowered is not None:
                self._executable = self._lowered.compile()
                self._lowered = None

    def __call__(self, *args: Any) -> Any:
        """Run on arguments of the shapes that the program was traced with."""
        return self._executable(*args)


def _sharding(leaf: Any) -> Any:
    """Where an array must stay, or a shape says that one will be; `None`: JAX may move it."""
    if isinstance(leaf, jax.Array) and not leaf.committed:
        return None
    return getattr(leaf, "sharding", None)


def home(tree: Any) -> jax.Device | None:
    """The device that arrays of a pytree are committed to, if it is one; else `None`.

    Examples:
        >>> import jax.numpy as jnp
        >>> home(jnp.zeros(3)) is None
        True
    """
    shardings = (_sharding(leaf) for leaf in jax.tree.leaves(tree))
    devices = {device for found in shardings if found is not None for device in found.device_set}
    return devices.pop() if len(devices) == 1 else None


def _default_device() -> jax.Device:
    found = jax.config.jax_default_device  # a device, the name of a platform, or `None`
    return found if isinstance(found, jax.Device) else jax.local_devices(backend=found)[0]


def _signature(args: tuple[Any, ...]) -> Hashable:
    """What decides about a program, of its arguments.

    Arrays on one device are one class, committed or not: a program runs where any of them must
    stay. Only arrays that are spread over several devices count leaf by leaf.
    """
    leaves, structure = jax.tree.flatten(args)

    def of_leaf(leaf):
        sharding = _sharding(leaf)
        spread = sharding if sharding is not None and len(sharding.device_set) > 1 else None
        return leaf.shape, leaf.dtype, bool(getattr(leaf, "weak_type", False)), spread

    return structure, tuple(map(of_leaf, leaves)), home(leaves) or _default_device()


def program(fn: Callable[..., Any], static: Hashable, *args: Any) -> Program:
    """The program of `fn(static, *args)`: from the cache, or traced now.

    Args:
        fn: a module-level function; its identity is part of the key.
        static: what is code rather than data; hashable.
        args: pytrees of arrays, or of `jax.ShapeDtypeStruct`.
    """
    settings = tuple(str(getattr(jax.config, name)) for name in _SETTINGS)
    key = (fn, static, _signature(args), settings)
    with _lock:
        if key in _programs:
            _programs.move_to_end(key)
            return _programs[key]
    # Without the lock: the user's code may call Crewel again, and other threads may trace too.
    traced = Program(jax.jit(fn, static_argnums=0).lower(static, *args))
    with _lock:
        found = _programs.setdefault(key, traced)  # of two threads, the first to finish wins
        _programs.move_to_end(key)
        if len(_programs) > _LIMIT:
            _programs.popitem(last=False)
    return found


def forget() -> None:
    """Drop all compiled programs, JAX's own too, and with them the memory that their code takes.

    What is needed again is compiled again.
    """
    with _lock:
        _programs.clear()
    jax.clear_caches()
    gc.collect()


def make_room() -> None:
    """Forget, where the process nears the number of memory maps at which Linux aborts it.

    A program takes some 300 of the usual 65,530, and JAX keeps each that it ever compiled: a
    comparison of many algorithms or models would end in `LLVM compilation error`.
    """
    try:
        most = int(Path("/proc/sys/vm/max_map_count").read_text())
        maps = Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:  # another system
        return
    if maps > CROWDED * most:
        forget()


def compile_all(*programs: Program) -> None:
    """Compile what is not compiled yet, side by side: XLA releases the interpreter's lock."""
    with ThreadPoolExecutor(max_workers=max(1, len(programs))) as pool:
        list(pool.map(Program.compile, programs))


def is_table(value: Any) -> bool:
    """Whether it is a dict that JAX cannot sort, such as moves with their probabilities."""
    return isinstance(value, dict) and not all(isinstance(key, str) for key in value)


class Frozen:
    """Options split into code and data: arrays are arguments of a program, the rest is its key."""

    def __init__(self, options: dict[str, Any], kind: str = "Option"):
        """Split `options`; raises `TypeError` for a value that can be neither, called a `kind`."""
        self.arrays: list[Any] = []
        code: list[Any] = []
        leaves, structure = jax.tree_util.tree_flatten_with_path(options, is_leaf=is_table)
        for path, leaf in leaves:
            leaf = tuple(leaf.items()) if (table := is_table(leaf)) else leaf
            if isinstance(leaf, jax.Array | np.ndarray):
                self.arrays.append(leaf)
                code.append(None)
            elif isinstance(leaf, Hashable):
                # 1, 1.0 and True are equal, and are not the same.
                code.append((dict if table else type(leaf), leaf))
            else:
                raise TypeError(
                    f"{kind} `{path_str(path)}` holds a {type(leaf).__name__}, which is neither an "
                    "array nor hashable, so that no compiled program could be reused. Pass an "
                    "array, a number, a string or a function."
                )
        self.static = structure, tuple(code)


def thaw(static: Any, arrays: list[Any]) -> dict[str, Any]:
    """The options again, inside a program, from `Frozen.static` and `Frozen.arrays`."""
    structure, code = static
    rest = iter(arrays)

    def value(kept):
        if kept is None:
            return next(rest)
        return dict(kept[1]) if kept[0] is dict else kept[1]

    return jax.tree.unflatten(structure, [value(kept) for kept in code])
