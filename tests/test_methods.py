"""Names of algorithms on a model."""

from __future__ import annotations

import pytest
import support

import crewel as cw


@pytest.fixture(scope="module")
def model():
    return support.small()


def test_names_list_every_row():
    model = support.small()
    assert set(dir(model.mcmc)) == {r.name for r in cw.ALGORITHMS if r.family.name == "mcmc"}
    assert sorted(repr(model.optimize).split("\n")) == dir(model.optimize)
    assert model.mcmc.numpyro_nuts.options()["max_tree_depth"] == 10
