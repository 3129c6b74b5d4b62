"""Backends: the packages that rows drive, and the errors for missing, broken or old ones."""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Backend:
    """A package whose algorithms are rows.

    Attributes:
        name: the first part of its rows' names.
        module: the module that must be importable for its rows to run.
        extra: the extra of Crewel that installs it; empty if Crewel itself depends on it.
        install: the command that installs it, if no extra of Crewel does.
    """

    name: str
    module: str
    extra: str = ""
    install: str = ""

    @property
    def command(self) -> str:
        """The command that installs it.

        Examples:
            >>> Backend("blackjax", "blackjax", extra="blackjax").command
            "pip install 'crewel[blackjax]'"
        """
        return self.install or f"pip install 'crewel[{self.extra}]'"

    @property
    def package(self) -> str:
        """The top-level package of its module."""
        return self.module.partition(".")[0]

    def load(self, row: str, *dotted: str) -> list[Any]:
        """The objects with these dotted names, for the algorithm called `row`.

        Raises:
            ImportError: the backend is missing (the message says how to install it), broken (the
                message has the original error) or too old.
        """
        try:
            importlib.import_module(self.module)
            return [resolve(name) for name in dotted]
        except ImportError as error:
            raise self._failed(row, error) from error
        except AttributeError as error:
            version = importlib.metadata.version(self.package)
            raise ImportError(
                f"`{row}` needs a newer `{self.module}` than {version}: {error}. "
                f"Upgrade it: {self.command.replace('install', 'install --upgrade', 1)}"
            ) from error

    def _failed(self, row: str, error: ImportError) -> ImportError:
        if isinstance(error, ModuleNotFoundError) and error.name == self.package:
            return ModuleNotFoundError(
                f"`{row}` needs `{self.module}`, which is not installed. "
                f"Install it: {self.command}",
                name=error.name,
            )
        return ImportError(f"`{row}`: `{self.module}` is installed but does not import: {error}")


def resolve(dotted: str) -> Any:
    """The object with a dotted name; the modules that lead to it are imported.

    Examples:
        >>> resolve("math.pi")
        3.141592653589793
    """
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError as error:
            if error.name and ".".join(parts[:cut]).startswith(error.name) and cut > 1:
                continue
            raise
        for name in parts[cut:]:
            found = getattr(found, name)
        return found
    raise ImportError(f"`{dotted}` is not a dotted name.")
