"""The text of a `FunctionReport`: a table of predictions, a table of chains, the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crewel.core.text import count

if TYPE_CHECKING:
    from crewel.posterior.function_report import FunctionReport


def text(r: FunctionReport) -> str:
    """The whole report."""
    return "\n".join([*_prediction_table(r), *_chain_table(r), *_closing_lines(r)])


def _prediction_table(r: FunctionReport) -> list[str]:
    number = len(r.rhat)
    with np.errstate(all="ignore"):
        relative_mcse = r.mcse / r.sd
    rows = [  # label, values per input, quantile of the worst value, format
        ("R-hat", r.rhat, 1.0, ".3f"),
        ("R-hat within a chain", r.within_rhat, 1.0, ".3f"),
        ("ESS, bulk", r.ess, 0.0, ".0f"),
        ("MCSE", r.mcse, 1.0, ".3g"),
        ("MCSE / sd", relative_mcse, 1.0, ".3g"),
    ]
    lines = [
        f"{count(number, r.of)}, {count(r.num_chains, 'chain')} of {count(r.num_draws, 'draw')}",
        f"  {f'over {r.of}s':<22}{'median':>10}{'worst 5 %':>11}{'worst':>10}  at",
    ]
    for label, values, bad, spec in rows:
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            lines.append(f"  {label:<22}{'-':>10}{'-':>11}{'-':>10}")
            continue
        worst = np.quantile(finite, bad)
        place = np.argwhere(values == worst)[0][-1]
        median, tail, worst = (
            _number(value, spec) for value in (*np.quantile(finite, [0.5, 0.05 + 0.9 * bad]), worst)
        )
        lines.append(f"  {label:<22}{median:>10}{tail:>11}{worst:>10}  {place}")
    return lines


def _chain_table(r: FunctionReport) -> list[str]:
    if r.chain_lppd is None or r.cumulative_lppd is None:
        return []
    pooled = r.cumulative_lppd[-1]
    lines = [
        f"LPPD, nats per row: {pooled:.3f} pooled"
        + ("" if r.baseline_lppd is None else f", {r.baseline_lppd:.3f} constant predictor"),
        f"  {'chain':<12}{'alone':>10}{'minus pooled':>14}{'cumulative':>17}",
    ]
    shown = 12 if r.num_chains > 14 else r.num_chains
    for chain in range(shown):
        alone, upto = r.chain_lppd[chain], r.cumulative_lppd[chain]
        mark = "  dead" if chain in r.dead_chains else ""
        lines.append(f"  {chain:<12}{alone:>10.3f}{alone - pooled:>14.3f}{upto:>17.3f}{mark}")
    if shown < r.num_chains:
        lines.append(f"  and {r.num_chains - shown} more in `.chain_lppd`, `.cumulative_lppd`")
    return lines


def _number(value: float, spec: str) -> str:
    return f"{value:{spec}}" if value < 1e6 else f"{value:.2e}"


def _closing_lines(r: FunctionReport) -> list[str]:
    return [*(f"Not computed: {reason}" for reason in r.missing), f"Verdict: {r.verdict}"]
