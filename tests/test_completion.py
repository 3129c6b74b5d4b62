"""What `help`, `?` and completion show of `model.mcmc.numpyro_nuts`."""

import inspect
import pydoc

import jax.numpy as jnp
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import crewel as cw
from crewel.core.options import backend_options, settings_of
from crewel.methods import Method

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def model():
    return cw.Model(lambda p: -jnp.sum(p**2), jnp.zeros(2))


def test_the_signature_has_settings_and_options(model):
    signature = inspect.signature(model.mcmc.numpyro_nuts)
    row = cw.ALGORITHMS["numpyro_nuts"]
    assert list(signature.parameters) == ["seed", *settings_of(row), *backend_options(row)]
    assert signature.parameters["num_draws"].default == 1000
    assert signature.parameters["max_tree_depth"].default == 10
    assert signature.return_annotation is cw.Posterior
    signature.bind(0, num_draws=5, max_tree_depth=3)
    with pytest.raises(TypeError, match="num_drawz"):
        signature.bind(num_drawz=5)


def test_help_has_settings_and_options(model):
    shown = pydoc.plain(pydoc.render_doc(model.mcmc.numpyro_nuts))
    assert "No-U-Turn" in shown
    assert "num_draws=1000" in shown and "max_tree_depth=10" in shown
    assert Method.__doc__ == "One algorithm on one model: call it with a seed."


def test_help_without_the_backend_has_the_settings(model):
    missing = cw.Backend("gone", "gone", extra="gone")
    row = cw.Algorithm(
        "gone_walk", cw.FAMILIES["mcmc"], "A walk", "Nobody", missing, ("gone.walk",)
    )
    method = model.mcmc(row)
    assert "num_draws" in inspect.signature(method).parameters
    assert "num_draws=1000" in method.__doc__
    assert "pip install 'crewel[gone]'" in method.__doc__


@pytest.fixture(scope="module")
def shell(model, tmp_path_factory):
    """IPython with `model` in it, without history and the user's configuration."""
    config = Config({"HistoryManager": {"enabled": False}})
    folder = str(tmp_path_factory.mktemp("ipython"))
    return InteractiveShell(config=config, ipython_dir=folder, user_ns={"model": model})


def completions(shell, code: str, *, jedi: bool) -> set[str]:
    shell.Completer.use_jedi = jedi
    shell.Completer.evaluation = "limited"  # nothing with side effects
    with provisionalcompleter():
        return {c.text.removeprefix(".") for c in shell.Completer.completions(code, len(code))}


def test_a_question_mark_in_ipython_shows_them(shell):
    shown = shell.object_inspect("model.mcmc.numpyro_nuts")["definition"]
    assert "num_draws=1000" in shown and "max_tree_depth=10" in shown


@pytest.mark.parametrize("code", ["model.mcmc.numpyro_", "post = model.mcmc.numpyro_"])
def test_ipython_completes_algorithms(model, shell, code):
    # Without Jedi it evaluates `model.mcmc`, where no property stands in the way.
    expected = {name for name in dir(model.mcmc) if name.startswith("numpyro_")}
    assert completions(shell, code, jedi=False) == expected
    assert "numpyro_nuts" in expected


def test_ipython_completes_families(shell):
    assert completions(shell, "model.", jedi=False) >= set(cw.FAMILIES)


def test_ipython_completes_settings_and_options(shell):
    call = "model.mcmc.numpyro_nuts("
    assert completions(shell, call + "max_tr", jedi=True) == {"max_tree_depth="}
    assert completions(shell, call + "num_", jedi=True) >= {"num_chains=", "num_draws="}
