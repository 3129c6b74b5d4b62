"""The pages whose code needs Oryx or bayeux."""

import pytest
from support import pages


@pytest.mark.parametrize("name", ["models.md", "bayeux.md"])
def test_page_of_this_lane(name):
    names = pages.run(pages.ROOT / "docs" / name)
    if name == "models.md":
        assert names["bx_model"].test_point["w"].shape == (2,)  # the last block has run
