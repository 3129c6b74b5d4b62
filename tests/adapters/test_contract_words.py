"""Which keywords every algorithm takes, and how it refuses others."""

from __future__ import annotations

import inspect

import pytest
import support
from support.contract import FITS, OPTIMIZERS, SAMPLERS, every, method

from crewel.core.options import backend_options, settings_of

ROWS = every(SAMPLERS + FITS + OPTIMIZERS)


@pytest.mark.parametrize("row", ROWS)
def test_unknown_option_is_an_error(row):
    with pytest.raises(TypeError, match="Did you mean `progress`"):
        method(support.apart(), row)(seed=0, progres=False)
    with pytest.raises(TypeError, match=row.option_sources[0].replace(".", r"\.")):
        method(support.apart(), row)(seed=0, zzz=1)
    for word in row.unsupported:
        with pytest.raises(TypeError, match=f"`{row.name}` does not take `{word}`"):
            method(support.apart(), row)(seed=0, **{word: 1})


@pytest.mark.parametrize("row", ROWS)
def test_options_are_the_backends(row):
    """No option of a row is swallowed: each is a parameter of what `option_sources` names."""
    for name in row.test_budget:
        assert name in settings_of(row) or name in backend_options(row)
    for filled_by_row in row.filled_by_row:
        assert filled_by_row not in backend_options(row)
    assert row.summary and row.reference
    assert row.name.split("_")[0] == (row.backend.name)
    engine = row.step or row.run
    assert inspect.isfunction(getattr(engine, "func", engine))
