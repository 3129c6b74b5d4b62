"""Compiled programs on disk, for the next process."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache


def cache_dir(path: str | PathLike[str] | None) -> None:
    """Keep compiled programs in a folder, so that a later process does not compile them again.

    It is JAX's own persistent compilation cache, with its thresholds of time and size at zero. The
    environment variable `JAX_COMPILATION_CACHE_DIR` switches it on as well; then only programs that
    take more than a second to compile are kept. A program is found again if the model has the same
    code and shapes, whatever its numbers are, on the same versions and kind of processor.

    Args:
        path: a folder, which is made if it does not exist; `None` switches the cache off.

    Raises:
        OSError: the folder cannot be made or written to.

    Examples:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> cache_dir(folder)
        >>> jax.config.jax_compilation_cache_dir == folder
        True
        >>> cache_dir(None)
    """
    if path is not None:
        folder = Path(path).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
        path = str(folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_compilation_cache_dir", path)
    compilation_cache.reset_cache()  # JAX would keep the folder that it used first
