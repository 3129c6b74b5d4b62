"""Backends that are missing, broken or too old."""

from __future__ import annotations

import dataclasses

import pytest
import support

import crewel as cw
from crewel import methods
from crewel.core.protocol import Algorithm, Backend


@pytest.fixture(scope="module")
def model():
    return support.small()


def absent(**changes) -> Algorithm:
    return dataclasses.replace(cw.ALGORITHMS["blackjax_nuts"], **changes)


def test_missing_backend_says_what_to_install(model):
    nobody = Backend("nobody", "nobody", extra="nobody")
    row = absent(name="nobody_nuts", backend=nobody, option_sources=("nobody.f",))
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'crewel\[nobody\]'"):
        methods.Method(model, row)(seed=0)


def test_broken_backend_keeps_its_own_error(model, monkeypatch, tmp_path):
    (tmp_path / "broken_backend.py").write_text("from jax import no_such_name")
    monkeypatch.syspath_prepend(tmp_path)
    row = absent(backend=Backend("broken", "broken_backend"))
    with pytest.raises(ImportError, match="installed but does not import: cannot import name 'no_"):
        methods.Method(model, row)(seed=0)


def test_old_backend_says_its_version(model):
    pytest.importorskip("blackjax")
    row = absent(option_sources=("blackjax.nuts_of_tomorrow",))
    with pytest.raises(ImportError, match=r"needs a newer `blackjax` than \d.*--upgrade 'crewel"):
        methods.Method(model, row)(seed=0)
