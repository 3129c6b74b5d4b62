"""Write `debugging.md`: run the scripts in `bugs/` and show what they print.

`python docs/make_debugging.py` from the repository's root, with the package installed. The tests
run the scripts again and compare what the debugger prints with the page.
"""

import contextlib
import io
import sys
import warnings
from pathlib import Path

from crewel.checks import RULES
from crewel.checks.report import MARKS

HERE = Path(__file__).parent
PAGE = HERE / "debugging.md"
SCRIPTS = sorted((HERE / "bugs").glob("[0-9]*.py"))
CUT = "\n# Without the debugger\n"

INTRODUCTION = """\
# Debugging a model

<!-- Written by docs/make_debugging.py, which runs the scripts in docs/bugs. -->

Most of what is wrong with a log density raises no error: the chains run, and the draws are of
something else. `debug` looks for it before a run, in seconds, and says where it is and what to
change.

```python
report = model.debug(seed=0)                                       # the model
report = model.mcmc.numpyro_nuts.debug(0, kwargs={"num_draws": 500})  # and the call to come
assert report, report.failed
```

- `verbosity`: 0 prints nothing, 1 a mark a check, 2 (the default) a line a check, 3 adds shapes
  and a table of the parameters, 4 adds arrays. `printer` is any callable with `print`'s signature.
- A line starts with ✓ (passed), × (failed), ! (probably wrong: it warns) or – (skipped, with the
  reason). Where a check fails, those that depend on it are skipped.
- The report is truthy when nothing failed. `report.failed`, `report.warned` and
  `report["gradient finite"]` have the outcomes, with the numbers in `details`;
  `report.to_dict()` is for logs; in a notebook it is a table.
- An exception in a log density is shown with its own line. `catch_exceptions=False` raises it.
- The initial states are those that the call with the same seed would start from.
- With many rows of data the expensive checks take a random 512, and say so; where a density
  captures its data and is slow, the checks that need many evaluations are skipped.

What warns may be meant: a hierarchy has parameters that the likelihood does not see, an energy of
pairs is summed over pairs. What fails makes the draws wrong, or impossible.

## The checks

In this order; those marked "(call)" run in `model.<family>.<algorithm>.debug(...)` only.

| check | what it makes sure of |
|---|---|
"""

HEALTHY = """\
## A model with nothing wrong

```python
{code}```

```text
{output}```

"""

BUGS = """\
## Ten bugs

Each is a script in `docs/bugs`, shown with what the debugger prints about it (the lines of
checks that pass or do not apply are left out), and with what the same density does in BlackJAX's
or NumPyro's own hands: no error and no warning, in any of the ten. What these print is below each;
[`by_hand.py`](bugs/by_hand.py) drives them as their documentation does.

"""

BUG = """\
### {number}. {title}

{text}

```python
{code}```

```text
{output}```

Without the debugger:

```python
{by_hand}```

```text
{printed}```

"""

GOOD = """\
import jax.numpy as jnp
import numpy as np

import crewel as cw

x = np.linspace(-1, 1, 100, dtype=np.float32)[:, None]
y = np.sin(3 * x[:, 0])


def network(params, x):
    return jnp.tanh(x @ params["w1"] + params["b1"]) @ params["w2"]


example = {"w1": jnp.ones((1, 8)), "b1": jnp.zeros(8), "w2": jnp.ones(8)}
model = cw.wrap(network, x, y, likelihood="gaussian", example=example)
model.mcmc.numpyro_nuts.debug(0, kwargs={"num_draws": 500, "max_tree_depth": 6})
"""


def parts(script: Path) -> tuple[str, str, str, str]:
    """Title, text, code of the model, and code that drives it by hand."""
    code, by_hand = script.read_text().split(CUT)
    _, prose, code = code.split('"""', 2)
    title, text = prose.strip().split("\n\n", 1)
    return title.rstrip("."), text, code.strip() + "\n", by_hand.strip() + "\n"


def run(code: str, names: dict, *, file: str = "<example>", first_line: int = 0) -> str:
    """What a piece of code prints, with the warnings that it raises."""
    printed = io.StringIO()
    compiled = compile("\n" * first_line + code, file, "exec")
    with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("default")
        exec(compiled, names)
    said = [f"{one.category.__name__}: {one.message}\n" for one in raised]
    return printed.getvalue() + "".join(said)


def debugger(script: Path) -> tuple[str, dict]:
    """What the debugger prints about a script's model, and the script's names."""
    names: dict = {"__name__": "__main__"}
    code, _ = script.read_text().split(CUT)
    return findings(run(code, names, file=str(script))), names


def by_hand(script: Path, names: dict) -> str:
    """What the script prints where it drives a backend by hand."""
    code, rest = script.read_text().split(CUT)
    return run(rest, names, file=str(script), first_line=code.count("\n") + 2)


def findings(printed: str) -> str:
    """The lines of checks that failed or warned, and the last one."""
    kept, keep = [], False
    lines = printed.splitlines()
    for line in lines[1:-1]:
        if line[:1] in MARKS.values():
            keep = line[0] in (MARKS["failed"], MARKS["warned"])
        if keep:
            kept.append(line)
    return "\n".join([*kept, lines[-1], ""])


def checks() -> str:
    """The table of checks, from the one list."""
    rows = []
    for rule in RULES:
        first = (rule.check.__doc__ or "").split("\n\n")[0].strip().rstrip(".")
        name = f"{rule.name} (call)" if rule.call else rule.name
        rows.append(f"| {name} | {' '.join(first.split())} |")
    return "\n".join(rows) + "\n\n"


def page() -> str:
    """The page."""
    text = INTRODUCTION + checks()
    text += HEALTHY.format(code=GOOD, output=run(GOOD, {})) + BUGS
    for number, script in enumerate(SCRIPTS, 1):
        title, prose, code, rest = parts(script)
        output, names = debugger(script)
        printed = by_hand(script, names)
        print(f"{script.name}\n{output}{printed}")
        rest = rest.replace("  # noqa: E402", "")
        text += BUG.format(
            number=number,
            title=title,
            text=prose.strip(),
            code=code,
            output=output,
            by_hand=rest,
            printed=printed,
        )
    return text.rstrip() + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(HERE / "bugs"))
    PAGE.write_text(page())
