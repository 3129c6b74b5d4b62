"""The verdict on a run: what was looked at at its end, what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from crewel.core.settings import setting
from crewel.core.warning import warn
from crewel.posterior import faults
from crewel.posterior.evidence import Evidence


class InferenceWarning(UserWarning):
    """A run whose draws should not be trusted as they are; the message says why."""


class InferenceError(RuntimeError):
    """The same as an error, where `crewel.settings(verdict="error")` asks for it.

    Attributes:
        posterior: what the run made; nothing is lost.
    """

    def __init__(self, message: str, posterior: Any):
        """Hold the posterior."""
        super().__init__(message)
        self.posterior = posterior


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        name: of the rule that found it.
        message: what, where, why, and what to do.
    """

    name: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """What the end of a run found. Truthy: no fault was found.

    Attributes:
        faults: what is wrong, worst first.
        looked_at: names of the rules that applied.
        not_looked_at: names of those that did not, or could not be evaluated.
    """

    faults: tuple[Fault, ...] = ()
    looked_at: tuple[str, ...] = ()
    not_looked_at: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    def __str__(self) -> str:
        """The faults, one per line; or that there is none."""
        if self.faults:
            return "\n".join(fault.message for fault in self.faults)
        if not self.looked_at:
            return "not looked at"
        return f"no fault found in {', '.join(self.looked_at)}"

    def __getitem__(self, name: str) -> Fault:
        """A fault by the name of its rule; raises `KeyError`."""
        for fault in self.faults:
            if fault.name == name:
                return fault
        raise KeyError(f"No fault `{name}` was found; there are {[f.name for f in self.faults]}.")


class Rule(NamedTuple):
    """One thing that a verdict looks at.

    Attributes:
        name: what the verdict calls it.
        find: `evidence -> message`, empty where there is no fault, `None` where it does not apply.
        ends: whether a fault makes the later rules pointless.
    """

    name: str
    find: Callable[[Evidence], str | None]
    ends: bool = False


RULES: tuple[Rule, ...] = (
    Rule("finite draws", faults.not_finite, ends=True),
    Rule("moving chains", faults.frozen),
    Rule("divergences", faults.diverging),
    Rule("energy errors", faults.energy),
    Rule("tree depth", faults.saturated),
    Rule("acceptance", faults.rejecting),
    Rule("constant predictor", faults.dead),
    Rule("R-hat", faults.unmixed),
    Rule("ESS", faults.few_effective),
    Rule("losses", faults.losses),
    Rule("Pareto k", faults.pareto_k),
)


def judge(post: Any) -> Verdict:
    """Look at a posterior; see `RULES` for what at."""
    evidence = Evidence(post)
    found: list[Fault] = []
    looked, skipped = [], []
    for rule in RULES:
        message = rule.find(evidence)
        (skipped if message is None else looked).append(rule.name)
        if message:
            found.append(Fault(rule.name, message))
            if rule.ends:
                break
    return Verdict(tuple(found), tuple(looked), tuple(skipped))


def announce(post: Any) -> None:
    """Warn once of everything that a posterior's verdict found, or raise, as `settings` asks.

    Raises:
        InferenceError: the verdict found a fault, and `crewel.settings(verdict="error")` holds.
    """
    if post.verdict:
        return
    text = f"`{post.algorithm}`: {post.verdict}"
    if setting("verdict") == "error":
        raise InferenceError(text, post)
    warn(text, InferenceWarning)
