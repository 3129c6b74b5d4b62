"""Bridges of libraries that are installed in the other lane only."""

from __future__ import annotations

import pytest
from support.programs import has

import crewel as cw


@pytest.mark.skipif(has("oryx"), reason="Oryx is installed: tests/lane_bayeux")
def test_oryx_and_bayeux_say_which_lane_they_need():
    with pytest.raises(ImportError, match=r"JAX 0.5 or older .*pip install 'crewel\[oryx\]'"):
        cw.Model.from_oryx(lambda key: key, observed={})
    model = cw.Model(lambda p: -(p**2), 0.0)
    with pytest.raises(ImportError, match=r"JAX 0.5 or older .*pip install 'crewel\[bayeux\]'"):
        model.to_bayeux()
    with pytest.raises(TypeError, match="needs a `bayeux.Model`, got a int"):
        cw.Model.from_bayeux(3)
