"""Compile once: a cache of programs, keyed on code, shapes, dtypes and devices, never on numbers.

Programs are compiled before the run. A broken model therefore fails before any work is done,
threads share one executable, and a second call with other data, seeds or priors compiles nothing.
"""

from __future__ import annotations

import gc
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np

from crewel.core.target import PyTree
from crewel.core.trees import path_str

CROWDED = 0.5  # the share of a process's memory maps at which `make_room` forgets
_LIMIT = 128  # programs to keep; the least recently used is dropped first
_SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_debug_nans",
    "jax_default_device",
)
_programs: OrderedDict[Hashable, Program] = OrderedDict()
_lock = threading.Lock()


# On JAX 0.10, two programs with batched linear algebra deadlock when they run at once on a CPU;
# on JAX 0.5 and 0.12 they do not.
_HANGS = (0, 6) <= tuple(map(int, jax.__version__.split(".")[:2])) < (0, 12)
_BATCHED = re.compile(r'custom_call @lapack_\w+.*num_batch_dims = "[1-9]')


Options: TypeAlias = tuple[tuple[str, str | bool], ...]  # XLA's own, by name
# On JAX 0.10, the emitters of fused loops are slow to compile; 0.5 and 0.12 have no such option.
_EMITTERS: Options = (("xla_cpu_use_fusion_emitters", False),)
_LEVEL: Options = (("xla_backend_optimization_level", "0"),)
_QUICK = _LEVEL + (_EMITTERS if jax.__version__.startswith("0.10.") else ())
_MANY = 100_000  # numbers in the arguments, above which optimized code saves time
_quick: ContextVar[bool] = ContextVar("quick", default=False)


# On JAX 0.10, XLA splits loops over its threads even where that takes longer than the loop: 2,410
# random normals take 40 microseconds on two cores and 11 on one. JAX 0.12 does not split them, and
# 0.5 has no option against it.
UNSPLIT: Options = (
    (("xla_disable_hlo_passes", "cpu-parallel-task-assigner"),)
    if jax.__version__.startswith("0.10.")
    else ()
)
_LARGE = 1_000_000  # numbers in the arguments, above which splitting a loop may pay


def run_options(args: PyTree, busy: bool) -> Options:
    """The options of XLA for a program with many steps.

    Args:
        args: its arguments.
        busy: whether other programs keep the other cores busy meanwhile.
    """
    if jax.default_backend() != "cpu" or not (busy or _numbers(args) <= _LARGE):
        return ()
    return UNSPLIT


def _numbers(args: PyTree) -> int:
    return sum(getattr(leaf, "size", 1) for leaf in jax.tree.leaves(args))


@contextmanager
def quickly() -> Generator[None]:
    """Make programs that run a few times only: most of compiling is XLA's optimizations."""
    token = _quick.set(True)
    try:
        yield
    finally:
        _quick.reset(token)


def quick_options(args: PyTree) -> Options:
    """The options of XLA that compile fast, for arguments on which slow code does not matter.

    Examples:
        >>> quick_options(jax.ShapeDtypeStruct((10_000_000,), float))
        ()
    """
    many = _numbers(args) > _MANY
    return () if many or jax.default_backend() != "cpu" else _QUICK


class Program:
    """A traced function: the shapes of its outputs, and the executable once it is compiled.

    Attributes:
        out_info: shapes and dtypes of the outputs.
        alone: whether it must not run at the same time as another program.
    """

    def __init__(self, lowered: jax.stages.Lowered, options: Options = ()):
        """Hold a `jax.stages.Lowered`, and XLA's options, until `compile_all` needs them."""
        self.out_info = lowered.out_info
        self._options = dict(options)
        cpu = jax.default_backend() == "cpu"
        self.alone = cpu and _HANGS and bool(_BATCHED.search(lowered.as_text()))
        self._lowered: jax.stages.Lowered | None = lowered
        self._executable: jax.stages.Compiled | None = None
        self._lock = threading.Lock()

    def compile(self) -> None:
        """Compile, unless that has been done; a second thread waits for the first."""
        with self._lock:
            if self._lowered is not None:
                quick = self._options
                self._executable = (
                    self._lowered.compile(quick) if quick else self._lowered.compile()
                )
                self._lowered = None

    def __call__(self, *args: PyTree) -> PyTree:
        """Run on arguments of the shapes that the program was traced with."""
        assert self._executable is not None
        return self._executable(*args)


def _sharding(leaf: Any) -> Any:
    """Where an array must stay, or a shape says that one will be; `None`: JAX may move it."""
    if isinstance(leaf, jax.Array) and not leaf.committed:
        return None
    return getattr(leaf, "sharding", None)


def home(tree: PyTree) -> Any:
    """The device that the arrays of a pytree are committed to, if it is one; else `None`.

    Examples:
        >>> import jax.numpy as jnp
        >>> home(jnp.zeros(3)) is None
        True
    """
    shardings = (_sharding(leaf) for leaf in jax.tree.leaves(tree))
    devices = {device for found in shardings if found is not None for device in found.device_set}
    return devices.pop() if len(devices) == 1 else None


def _default_device() -> Any:
    # A device, the name of a platform, or `None`.
    found: Any = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    return found if isinstance(found, jax.Device) else jax.local_devices(backend=found)[0]


def _signature(args: tuple[PyTree, ...]) -> Hashable:
    """The properties of the arguments that a program depends on.

    Arrays on one device are equivalent, committed or not: a program runs where any of them must
    stay. Only arrays that are spread over several devices count leaf by leaf.
    """
    leaves, structure = jax.tree.flatten(args)

    def of_leaf(leaf: Any) -> Hashable:
        sharding = _sharding(leaf)
        spread = sharding if sharding is not None and len(sharding.device_set) > 1 else None
        return leaf.shape, leaf.dtype, bool(getattr(leaf, "weak_type", False)), spread

    return structure, tuple(map(of_leaf, leaves)), home(leaves) or _default_device()


def program(
    fn: Callable[..., PyTree], static: Hashable, *args: PyTree, options: Options = ()
) -> Program:
    """The program of `fn(static, *args)`: from the cache, or traced now.

    Args:
        fn: a module-level function; its identity is part of the key.
        static: what is code rather than data; hashable.
        args: pytrees of arrays, or of `jax.ShapeDtypeStruct`.
        options: XLA's own, unless the program is to be made `quickly`.
    """
    settings = tuple(str(getattr(jax.config, name)) for name in _SETTINGS)
    options = (_quick.get() and quick_options(args)) or options
    key = (fn, static, _signature(args), settings, options)
    with _lock:
        if key in _programs:
            _programs.move_to_end(key)
            return _programs[key]
    # Without the lock: the user's code may call Crewel again, and other threads may trace too.
    traced = Program(jax.jit(fn, static_argnums=0).lower(static, *args), options)
    with _lock:
        found = _programs.setdefault(key, traced)  # of two threads, the first to finish wins
        _programs.move_to_end(key)
        if len(_programs) > _LIMIT:
            _programs.popitem(last=False)
    return found


def forget() -> None:
    """Drop all compiled programs, including JAX's own, to free the memory of their code.

    Whatever is needed again is compiled again.
    """
    with _lock:
        _programs.clear()
    jax.clear_caches()
    gc.collect()


def make_room() -> None:
    """Forget if the process nears the number of memory maps at which Linux aborts it.

    A program takes about 300 of the usual 65,530, and JAX keeps every program that it compiled.
    Without this, a comparison of many algorithms or models would end in `LLVM compilation error`.
    """
    try:
        most = int(Path("/proc/sys/vm/max_map_count").read_text())
        maps = Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:  # another system
        return
    if maps > CROWDED * most:
        forget()


def compile_all(*programs: Program) -> None:
    """Compile what is not compiled yet, in parallel: XLA releases the interpreter's lock."""
    with ThreadPoolExecutor(max_workers=max(1, len(programs))) as pool:
        list(pool.map(Program.compile, programs))


def is_table(value: Any) -> bool:
    """Whether it is a dict that JAX cannot sort, for example moves with their probabilities."""
    return isinstance(value, dict) and not all(isinstance(key, str) for key in value)


# The structure of options, and each of them as code: `(type, value)`, or `None` for an array.
Static: TypeAlias = tuple[Hashable, tuple[tuple[type, Hashable] | None, ...]]


class Frozen:
    """Options split into code and data: arrays are arguments of a program, the rest is its key."""

    def __init__(self, options: dict[str, Any], kind: str = "Option"):
        """Split `options`; `kind` names a value that can be neither in the `TypeError`."""
        self.arrays: list[jax.Array | np.ndarray] = []
        code: list[tuple[type, Hashable] | None] = []
        leaves, structure = jax.tree_util.tree_flatten_with_path(options, is_leaf=is_table)
        for path, leaf in leaves:
            leaf = tuple(leaf.items()) if (table := is_table(leaf)) else leaf
            if isinstance(leaf, jax.Array | np.ndarray):
                self.arrays.append(leaf)
                code.append(None)
            elif isinstance(leaf, Hashable):
                # 1, 1.0 and True compare equal but compile differently.
                code.append((dict if table else type(leaf), leaf))
            else:
                raise TypeError(
                    f"{kind} `{path_str(path)}` holds a {type(leaf).__name__}, which is neither an "
                    "array nor hashable, so no compiled program could be reused. Pass an array, a "
                    "number, a string or a function."
                )
        self.static: Static = structure, tuple(code)


def thaw(static: Static, arrays: list[jax.Array | np.ndarray]) -> dict[str, Any]:
    """Rebuild the options inside a program, from `Frozen.static` and `Frozen.arrays`."""
    structure, code = static
    rest = iter(arrays)

    def value(kept: tuple[type, Any] | None) -> Any:
        if kept is None:
            return next(rest)
        return dict(kept[1]) if kept[0] is dict else kept[1]

    return jax.tree.unflatten(structure, [value(kept) for kept in code])
