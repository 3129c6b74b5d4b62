"""Path patterns, strict: every pattern matches something, every path has one best pattern."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase


def listing(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The parameters, one a line, for error messages."""
    return "The parameters are:\n" + "\n".join(f"  {path}  {s}" for path, s in shapes.items())


def matching(pattern: str, shapes: Mapping[str, tuple[int, ...]], what: str) -> list[str]:
    """The paths that `pattern` matches.

    Args:
        pattern: as in a shell: `*` any characters, `?` one, `[01]` one of these.
        shapes: shape by path.
        what: what the pattern is, for the error.

    Raises:
        ValueError: none; lists the paths.

    Examples:
        >>> matching("*.bias", {"Dense_0.bias": (3,), "Dense_0.kernel": (2, 3)}, "pattern")
        ['Dense_0.bias']
    """
    found = [path for path in shapes if fnmatchcase(path, pattern)]
    if not found:
        raise ValueError(f"The {what} `{pattern}` matches no parameter. {listing(shapes)}")
    return found


def _more_exact(one: str, other: str) -> bool:
    return fnmatchcase(one, other) and not fnmatchcase(other, one)


def choose(patterns: Iterable[str], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """The pattern that holds for each path: the most exact one.

    A pattern is more exact than another that matches it as a text: `Dense_1.kernel` than
    `*.kernel`, and that than `*`; of `*.kernel` and `Dense_1.*` neither is.

    Raises:
        ValueError: a pattern that matches nothing, a path that nothing matches, or a path that
            several patterns match of which none is more exact than the others.

    Examples:
        >>> choose(["*", "*.bias"], {"Dense_0.bias": (3,), "Dense_0.kernel": (2, 3)})
        {'Dense_0.bias': '*.bias', 'Dense_0.kernel': '*'}
    """
    patterns = list(patterns)
    for pattern in patterns:
        matching(pattern, shapes, "prior pattern")
    chosen = {}
    for path in shapes:
        found = [p for p in patterns if fnmatchcase(path, p)]
        best = [p for p in found if all(q == p or _more_exact(p, q) for q in found)]
        if not found:
            raise ValueError(
                f"No prior pattern matches `{path}`; it would have no prior. Add a pattern, such "
                f"as `'*'` for all the rest. Patterns: {patterns}. {listing(shapes)}"
            )
        if not best:
            raise ValueError(
                f"The prior patterns {found} all match `{path}`, and none is more exact than the "
                f"others. Write one for `{path}` itself. {listing(shapes)}"
            )
        chosen[path] = best[0]
    return chosen
