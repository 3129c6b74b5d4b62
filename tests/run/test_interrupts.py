"""Ctrl-C during a run, with real signals: what is kept, what is named, and how a run goes on.

Signals are raised when a given step is reported to the progress bar, so that every test stops at a
known draw. A signal that a chain's thread raises is handled by the main thread: the thread waits
for that, and nothing here depends on time.
"""

from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import support

from crewel.run import blocks, interrupts
from crewel.run.progress import Progress

CHAINS, WARMUP, DRAWS = 4, 10, 20
RUN = {"num_chains": CHAINS, "num_warmup": WARMUP, "num_draws": DRAWS, "progress": False}
PATIENCE = 120  # seconds after which a test that hangs fails


@pytest.fixture(scope="module")
def model():
    return support.small()


@pytest.fixture(scope="module")
def whole(model):
    """Four chains that nobody interrupts, one after the other."""
    return model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def first(tree, chains, draws):
    return jax.tree.map(lambda leaf: leaf[chains, :draws], tree)


def warmed(chains):
    """Reports of `chains` chains that are warmed up and drawn whole, one after the other."""
    return chains * (WARMUP + DRAWS)


# --- what is kept -------------------------------------------------------------------------------


def test_finished_chains_are_kept_whole(model, whole, interrupt):
    """Interrupted at the first draw of chain 3: the three others keep all their draws."""
    interrupt(warmed(3) + WARMUP + 1)
    with pytest.warns(UserWarning, match="Interrupted") as caught:
        cut = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)
    assert str(caught[0].message) == (
        "Interrupted. Returning 20 of 20 draws of 3 of 4 chains. Left out: chain 3, with at most "
        "1 draw."
    )
    assert caught[0].filename == __file__
    same(cut.draws, first(whole.draws, slice(3), DRAWS))
    same(cut.stats, first(whole.stats, slice(3), DRAWS))
    longer = whole.extend(7, progress=False)
    same(cut.extend(7, progress=False).draws, first(longer.draws, slice(3), None))


def test_surplus_is_used_by_extensions(model, whole, interrupt):
    """Chain 2 is cut at its fifth draw: what the others drew beyond comes back."""
    interrupt(warmed(2) + WARMUP + 5)
    with pytest.warns(UserWarning, match="Returning 5 of 20 draws of 3 of 4 chains. Up to 15 "):
        cut = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)
    same(cut.draws, first(whole.draws, slice(3), 5))
    same(cut.surplus.count, [15, 15, 0])
    on = cut.extend(4, progress=False)
    same(on.draws, first(whole.draws, slice(3), 9))
    same(on.surplus.count, [11, 11, 0])
    longer = whole.extend(10, progress=False)
    far = on.extend(21, progress=False)
    same((far.draws, far.stats), first((longer.draws, longer.stats), slice(3), None))
    assert far.surplus is None


def test_interrupted_extension_loses_nothing(model, whole, interrupt):
    """Chain 1 is cut at the third draw of the extension, and chains 2 and 3 have not begun."""
    interrupt(20 + 3)
    with pytest.warns(UserWarning, match="Returning 0 of 20 draws of 4 of 4 chains. Up ") as w:
        cut = whole.extend(20, progress=False)
    assert w[0].filename == __file__
    same((cut.draws, cut.stats), (whole.draws, whole.stats))
    same(cut.surplus.count, [20, 3, 0, 0])
    same(cut.extend(20, progress=False).draws, whole.extend(20, progress=False).draws)


def test_two_interrupts_in_a_row_on_two_threads(model, whole, interrupt, monkeypatch):
    """Both within one chunk: the second counts as the first, and every draw is kept."""
    monkeypatch.setattr("crewel.run.placement.cores", lambda: 2)
    interrupt(WARMUP + 12, times=2, threads=2)
    with pytest.warns(UserWarning, match="Interrupted. Returning"):
        cut = model.mcmc.numpyro_nuts(seed=0, chain_method="parallel", **RUN)
    kept = [
        c for c in range(CHAINS) if (whole.draws["rate"][c, 0] == cut.draws["rate"][:, 0]).any()
    ]
    assert len(kept) == cut.num_chains >= 2 and cut.num_draws >= 2
    same(cut.draws, first(whole.draws, kept, cut.num_draws))
    longer = whole.extend(10, progress=False)
    far = cut.extend(30 - cut.num_draws, progress=False)
    same((far.draws, far.stats), first((longer.draws, longer.stats), kept, None))


def test_vectorized_chains_stop_together(model, interrupt):
    call = RUN | {"chain_method": "vectorized"}
    whole = model.mcmc.numpyro_nuts(seed=0, **call)
    interrupt(WARMUP + 7)
    with pytest.warns(UserWarning, match=r"Returning 7 of 20 draws of 4 of 4 chains\.$"):
        cut = model.mcmc.numpyro_nuts(seed=0, **call)
    same(cut.draws, first(whole.draws, slice(4), 7))
    same(cut.extend(13, progress=False).draws, whole.draws)


def test_chains_that_move_together_stop_together(model, interrupt):
    call = RUN | {"num_chains": 8}
    whole = model.mcmc.numpyro_aies(seed=0, **call)
    interrupt(WARMUP + 7)
    with pytest.warns(UserWarning, match=r"Returning 7 of 20 draws of 8 of 8 chains\.$"):
        cut = model.mcmc.numpyro_aies(seed=0, **call)
    same(cut.draws, first(whole.draws, slice(8), 7))
    same(cut.extend(13, progress=False).draws, whole.draws)


def test_collected_values_have_a_surplus_too(model, whole, interrupt):
    interrupt(warmed(1) + WARMUP + 4)
    with pytest.warns(UserWarning, match="Returning 4 of 20 draws of 2 of 4 chains. Up to 16 "):
        cut = model.mcmc.numpyro_nuts(
            seed=0, chain_method="sequential", collect=lambda p: 2 * p["rate"], **RUN
        )
    np.testing.assert_array_equal(cut.draws, 2 * whole.draws["rate"][:2, :4])
    same(cut.extend(16, progress=False).draws, 2 * whole.draws["rate"][:2])


# --- signals ------------------------------------------------------------------------------------


def test_interrupt_before_any_draw(model, interrupt):
    interrupt(1)
    with pytest.raises(KeyboardInterrupt, match="nothing to return"):
        model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)


def test_a_later_interrupt_ends_at_once(model, whole, interrupt, monkeypatch):
    """More than `DOUBLE` seconds after the first it is raised, and what was drawn is returned."""
    clock = iter([0.0, interrupts.DOUBLE + 0.1])
    monkeypatch.setattr(interrupts, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    raised, block = [], blocks.Run.block

    def recorded(self, job, bar):
        try:
            block(self, job, bar)
        except KeyboardInterrupt:
            raised.append(job)
            raise

    monkeypatch.setattr(blocks.Run, "block", recorded)
    interrupt(warmed(1) + WARMUP + 4, times=2)
    with pytest.warns(UserWarning, match="Returning 4 of 20 draws of 2 of 4 chains"):
        cut = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)
    assert raised == [1]
    same(cut.draws, first(whole.draws, slice(2), 4))


def test_a_handler_of_the_users_own_is_respected(model, whole, monkeypatch):
    heard = []

    def own(number, frame):
        heard.append(number)

    advance = Progress.advance

    def signalled(self, steps, stats=None):
        advance(self, steps, stats)
        assert signal.getsignal(signal.SIGINT) is own
        if not heard:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "advance", signalled)
    before = signal.signal(signal.SIGINT, own)
    try:
        post = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]
    same(post.draws, whole.draws)


def test_a_users_handler_that_raises_ends_the_run(model, whole, interrupt, monkeypatch):
    def own(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, own)
    try:
        interrupt(warmed(1) + WARMUP + 4)
        with pytest.warns(UserWarning, match="Returning 4 of 20 draws of 2 of 4 chains"):
            cut = model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN)
    finally:
        signal.signal(signal.SIGINT, before)
    same(cut.draws, first(whole.draws, slice(2), 4))


def test_in_another_thread_nothing_changes(model, whole, monkeypatch, ctrl_c):
    advance, handlers, found = Progress.advance, set(), []

    def looked(self, steps, stats=None):
        advance(self, steps, stats)
        handlers.add(signal.getsignal(signal.SIGINT))

    def run():
        found.append(model.mcmc.numpyro_nuts(seed=0, chain_method="sequential", **RUN))

    monkeypatch.setattr(Progress, "advance", looked)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    assert handlers == {signal.default_int_handler}
    same(found[0].draws, whole.draws)
