"""What the debugger says while it runs, and how much it compiles."""

import threading
from collections import OrderedDict

import jax.numpy as jnp
import numpy as np
from support.checks import GOOD, network, normal

import crewel as cw
from crewel.checks import RULES
from crewel.checks.context import Context
from crewel.checks.debug import debug
from crewel.core import compiling


class Stream:
    """A text stream that tells when something was written."""

    def __init__(self):
        self.text, self.written = "", threading.Event()

    def write(self, text):
        self.text += text
        self.written.set()

    def flush(self):
        pass


def test_a_check_that_takes_long_is_named_while_it_runs(monkeypatch):
    stream = Stream()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("crewel.checks.report.PATIENCE", 0.0)

    def slow(context):
        """Something holds."""
        assert stream.written.wait(30)
        return RULES[1].check(context)

    monkeypatch.setattr(
        "crewel.checks.debug.RULES", (RULES[1]._replace(name="slow one", check=slow),)
    )
    report = debug(GOOD, 0, printer=lambda *parts, **kwargs: None)
    assert report["slow one"].status != "failed"
    assert stream.text.startswith("... still running `slow one`: Something holds.\n"[:40])


def test_checks_that_are_quick_are_not_named(capsys):
    debug(GOOD, 0, verbosity=0)
    assert capsys.readouterr().err == ""


def compiled_programs(monkeypatch, model):
    """The programs that the debugger compiles, with the options of XLA for each."""
    made = []
    init = compiling.Program.__init__

    def counted(self, lowered, options=()):
        made.append(options)
        init(self, lowered, options)

    with monkeypatch.context() as patch:
        patch.setattr(compiling.Program, "__init__", counted)
        patch.setattr(compiling, "_programs", OrderedDict())
        assert debug(model, 0, verbosity=0)
    return made


def test_no_program_is_optimized_for_a_few_evaluations(monkeypatch):
    made = compiled_programs(monkeypatch, network())
    # The gradient, the initial states, latents from the prior, and what the prior implies.
    assert len(made) == 4
    assert all(options == compiling.quick_options(()) for options in made)


def test_the_number_of_programs_does_not_depend_on_the_number_of_leaves(monkeypatch):
    def model(leaves):
        return cw.Model(normal, {f"w{i}": 0.1 for i in range(leaves)})

    few, many = (compiled_programs(monkeypatch, model(leaves)) for leaves in (2, 30))
    assert len(few) == len(many) == 2


def test_slow_densities_see_few_rows(monkeypatch):
    monkeypatch.setattr("crewel.checks.context.SLOW", 0.0)
    x = np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)
    context = Context(
        cw.wrap(
            lambda p, x: x @ p["w"], x, x[:, 0], likelihood="gaussian", example={"w": jnp.zeros(3)}
        ),
        None,
        0,
        {},
    )
    assert context.small.num_rows == 512 and context.on_rows(16).num_rows == 16
    assert context.target.num_rows == 600
