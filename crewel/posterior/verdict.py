"""The verdict on a run: what was looked at at its end, what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from crewel.core.settings import setting
from crewel.core.warning import warn
from crewel.posterior import faults
from crewel.posterior.evidence import Evidence

if TYPE_CHECKING:
    from crewel.posterior.posterior import Posterior


class InferenceWarning(UserWarning):
    """The draws of a run should not be trusted as they are; the message says why."""


class InferenceError(RuntimeError):
    """The same as an error, under `crewel.settings(verdict="error")`.

    Attributes:
        posterior: the result of the run, so that nothing is lost.
    """

    def __init__(self, message: str, posterior: Posterior):
        """Hold the posterior."""
        super().__init__(message)
        self.posterior = posterior


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        name: the name of the rule that found it.
        message: what, where, why, and what to do.
    """

    name: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """What a run was checked for at its end, and what was found; truthy if there is no fault.

    Attributes:
        faults: what is wrong, in the order of the rules.
        looked_at: the names of the rules that were applied.
        not_looked_at: the names of the other rules: they do not fit the run, or could not be
            computed.
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
            return "not checked"
        return f"no fault found in {', '.join(self.looked_at)}"

    def __getitem__(self, name: str) -> Fault:
        """A fault by the name of its rule; raises `KeyError`."""
        for fault in self.faults:
            if fault.name == name:
                return fault
        raise KeyError(f"No fault `{name}` was found; there are {[f.name for f in self.faults]}.")


class Rule(NamedTuple):
    """One thing that a run is checked for.

    Attributes:
        name: its name in the verdict.
        find: `evidence -> message`; the message is empty if there is no fault, and `None` if the
            rule does not apply.
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


def judge(post: Posterior) -> Verdict:
    """Check a posterior by all `RULES`; one that raises counts as not looked at."""
    evidence = Evidence(post)
    found: list[Fault] = []
    looked: list[str] = []
    skipped: list[str] = []
    for rule in RULES:
        try:
            message = rule.find(evidence)
        except Exception:  # whatever a rule stumbles over, the draws must not be lost
            message = None
        (skipped if message is None else looked).append(rule.name)
        if message:
            found.append(Fault(rule.name, message))
            if rule.ends:
                break
    return Verdict(tuple(found), tuple(looked), tuple(skipped))


def announce(post: Posterior) -> None:
    """Warn once of all faults of a posterior, or raise if the setting `verdict` is `"error"`.

    Raises:
        InferenceError: there is a fault, and the setting is `"error"`.
    """
    if post.verdict:
        return
    text = f"`{post.algorithm}`: {post.verdict}"
    if setting("verdict") == "error":
        raise InferenceError(text, post)
    warn(text, InferenceWarning)
