"""Write `debugging.md`: run the scripts in `bugs/` and show what they print.

Run `python docs/make_debugging.py` in the root of the repository, with the package installed. The
tests run the scripts again and compare the output of the debugger with the page.
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

Most mistakes in a log density raise no error: the chains run, but they sample something else.
`debug` looks for them before a run, in seconds, and says where they are and what to change.

```python
import crewel as cw

model = cw.Model(lambda params: -(params["x"] ** 2), {"x": 0.0})
report = model.debug(seed=0)  # the model
report = model.mcmc.numpyro_nuts.debug(0, kwargs={"num_draws": 500})  # the model and the call
assert report, report.failed
```

- `verbosity`: 0 prints nothing, 1 one mark per check, 2 (the default) one line per check, 3 also
  shapes and a table of the parameters, 4 also arrays. `printer` is any callable with `print`'s
  signature.
- A line starts with ✓ (passed), × (failed), ! (warned: probably wrong) or – (skipped, with the
  reason). If a check fails, the checks that depend on it are skipped.
- The report is truthy if no check failed. `report.failed`, `report.warned` and
  `report["gradient finite"]` return the outcomes, with the numbers in `details`;
  `report.to_dict()` is for logs. In a notebook, the report is displayed as a table.
- An exception in the log density is reported with the line that raised it;
  `catch_exceptions=False` raises it instead.
- The initial states are those from which the call with the same seed would start.
- If the density is slow on many rows of data, expensive checks use 512 random rows, and say so. If
  a slow density captures its data, checks that need many evaluations are skipped.

A warning may describe what you intended: a pairwise energy is summed over pairs, and the rows of a
partial likelihood depend on each other. A failure means that the draws would be
wrong, or that there would be none.

## The checks

The checks run in this order. Those marked "(call)" run only in
`model.<family>.<algorithm>.debug(...)`.

| check | what holds if it passes |
|---|---|
"""

HEALTHY = """\
## A model without errors

```python
{code}```

```text
{output}```

"""

BUGS = """\
## Ten bugs

Each bug is a script in `docs/bugs`, shown with the output of the debugger (without the lines of
checks that pass or do not apply) and with the result of running the same density directly in
BlackJAX or NumPyro. None of the ten raises an error or a warning there.
[`by_hand.py`](bugs/by_hand.py) runs the two libraries as their documentation does.
[Reported bugs](reported_bugs.md) has ten more, from issues that users posted.

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
    """Title, text, code of the model, and code that runs it without the debugger."""
    code, by_hand = script.read_text().split(CUT)
    _, prose, code = code.split('"""', 2)
    title, text = prose.strip().split("\n\n", 1)
    return title.rstrip("."), text, code.strip() + "\n", by_hand.strip() + "\n"


def run(code: str, names: dict, *, file: str = "<example>", first_line: int = 0) -> str:
    """Run code and return what it prints, with the warnings that it raises."""
    printed = io.StringIO()
    compiled = compile("\n" * first_line + code, file, "exec")
    with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("default")
        exec(compiled, names)
    said = [f"{one.category.__name__}: {one.message}\n" for one in raised]
    return printed.getvalue() + "".join(said)


def debugger(script: Path) -> tuple[str, dict]:
    """Run a script up to the debugger; return the findings and the script's names."""
    names: dict = {"__name__": "__main__"}
    code, _ = script.read_text().split(CUT)
    return findings(run(code, names, file=str(script))), names


def by_hand(script: Path, names: dict) -> str:
    """Run the rest of a script, which uses a backend directly; return what it prints."""
    code, rest = script.read_text().split(CUT)
    return run(rest, names, file=str(script), first_line=code.count("\n") + 2)


def findings(printed: str) -> str:
    """The lines of checks that failed or warned, and the summary."""
    kept, keep = [], False
    lines = printed.splitlines()
    for line in lines[1:-1]:
        if line[:1] in MARKS.values():
            keep = line[0] in (MARKS["failed"], MARKS["warned"])
        if keep:
            kept.append(line)
    return "\n".join([*kept, lines[-1], ""])


def checks() -> str:
    """The table of checks, from `RULES`."""
    rows = []
    for rule in RULES:
        first = (rule.check.__doc__ or "").split("\n\n")[0].strip().rstrip(".")
        name = f"{rule.name} (call)" if rule.call else rule.name
        rows.append(f"| {name} | {' '.join(first.split())} |")
    return "\n".join(rows) + "\n\n"


def page() -> str:
    """The whole page."""
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
