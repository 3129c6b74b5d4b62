"""Strict path patterns: every pattern matches something, and every path has one best pattern."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase


def listing(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The parameters, one per line, for error messages."""
    return "The parameters are:\n" + "\n".join(f"  {path}  {s}" for path, s in shapes.items())


def matching(pattern: str, shapes: Mapping[str, tuple[int, ...]], what: str) -> list[str]:
    """The paths that `pattern` matches.

    Args:
        pattern: as in a shell: `*` matches any characters, `?` one, `[01]` one of these.
        shapes: shape by path.
        what: what to call the pattern in the error.

    Raises:
        ValueError: it matches no path; the message lists them.

    Examples:
        >>> matching("*.bias", {"Dense_0.bias": (3,), "Dense_0.kernel": (2, 3)}, "pattern")
        ['Dense_0.bias']
    """
    found = [path for path in shapes if fnmatchcase(path, pattern)]
    if not found:
        raise ValueError(f"The {what} `{pattern}` matches no parameter. {listing(shapes)}")
    return found


def _more_specific(one: str, other: str) -> bool:
    return fnmatchcase(one, other) and not fnmatchcase(other, one)


def choose(patterns: Iterable[str], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """The pattern that applies to each path: the most specific match.

    A pattern is more specific than another if the other matches it as text: `Dense_1.kernel` is
    more specific than `*.kernel`, which is more specific than `*`. Neither of `*.kernel` and
    `Dense_1.*` is more specific than the other.

    Raises:
        ValueError: a pattern matches nothing, no pattern matches a path, or several match it and
            none is more specific than the others.

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
        best = [p for p in found if all(q == p or _more_specific(p, q) for q in found)]
        if not found:
            raise ValueError(
                f"No prior pattern matches `{path}`; it would have no prior. Add a pattern, for "
                f"example `'*'` for all the rest. Patterns: {patterns}. {listing(shapes)}"
            )
        if not best:
            raise ValueError(
                f"The prior patterns {found} all match `{path}`, and none is more specific than "
                f"the others. Add one for `{path}` itself. {listing(shapes)}"
            )
        chosen[path] = best[0]
    return chosen
