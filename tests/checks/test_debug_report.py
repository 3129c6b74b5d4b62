"""The debugger's report: what it says at each verbosity, of a model and of a call."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import crewel as cw
from crewel.checks import RULES
from crewel.checks.context import Context
from crewel.checks.debug import debug
from crewel.checks.report import MARKS

X = np.linspace(-1.0, 1.0, 12, dtype=np.float32)[:, None]
Y = 2 * X[:, 0]


def line():
    return cw.wrap(
        lambda params, x: x @ params["w"],
        X,
        Y,
        likelihood="gaussian",
        example={"w": jnp.zeros((1, 1))},
    )


class Page:
    """A printer that keeps what it is given."""

    def __init__(self):
        self.text = ""

    def __call__(self, *parts, sep=" ", end="\n"):
        self.text += sep.join(map(str, parts)) + end


@pytest.fixture(scope="module")
def model():
    return line()


def printed(model, verbosity, **kwargs):
    page = Page()
    report = debug(model, 0, verbosity=verbosity, printer=page, **kwargs)
    return report, page.text


def test_verbosity_0_prints_nothing(model, capsys):
    report, text = printed(model, 0)
    assert text == "" and capsys.readouterr().out == ""
    assert report


def test_verbosity_1_prints_a_mark_a_check(model):
    report, text = printed(model, 1)
    assert text.count("\n") == 1
    assert text.split() == [MARKS[check.status] for check in report.checks]


def test_verbosity_2_prints_what_repr_shows(model):
    report, text = printed(model, 2)
    assert text == repr(report) + "\n"
    assert all(check.name in text for check in report.checks)
    assert max(map(len, text.splitlines())) <= 100


def test_verbosity_3_adds_an_aligned_table(model):
    _, text = printed(model, 3)
    table = text.splitlines()[-4:-1]
    assert table[0].split() == [
        *("parameter", "shape", "dtype", "min", "max", "non-finite", "|gradient|", "prior")
    ]
    assert table[1].startswith("sigma      ()      float32")
    assert table[2].startswith("w          (1, 1)  float32")
    assert table[2].endswith("Normal(loc=0, scale=1)")
    columns = [row.index("float32") for row in table[1:]]
    assert columns == [table[0].index("dtype")] * 2
    assert "    slopes: float64[2]" in text


def test_verbosity_4_adds_arrays(model):
    report, text = printed(model, 4)
    slopes = report["gradient and differences"].details["slopes"]
    assert np.array2string(slopes, precision=4) in text


def test_table_holds_gradient_norms_at_the_test_point(model):
    report = model.debug(0, verbosity=0)
    target = model.target()
    position = target.transform.inverse(model.test_point)
    wanted = jax.grad(target.log_density)(position)
    for leaf in report.leaves:
        norm = np.linalg.norm(np.asarray(wanted[leaf.path]))
        np.testing.assert_allclose(leaf.gradient_norm, norm, rtol=1e-5)


def test_each_line_is_printed_when_its_check_is_done(model, monkeypatch):
    order = []

    def rule(context):
        order.append("ran")
        return RULES[1].check(context)

    first = RULES[1]._replace(check=rule)
    monkeypatch.setattr("crewel.checks.debug.RULES", (first, first._replace(name="again")))
    debug(model, 0, printer=lambda *parts, **kwargs: order.append(str(parts[0])[0]))
    assert order[1:5] == ["ran", "✓", "ran", "✓"]


def test_report_as_data_and_as_html(model):
    report = model.debug(0, verbosity=0)
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert found["passed"] is True
    assert [c["name"] for c in found["checks"]] == [c.name for c in report.checks]
    assert {c["status"] for c in found["checks"]} <= set(MARKS)
    assert found["leaves"][0]["shape"] == []
    assert found["leaves"][1]["shape"] == [1, 1]
    html = report._repr_html_()
    assert html.count("<tr>") == len(report.checks)
    assert "&lt;crewel.Model: 2 parameters" in html


def test_truth_is_that_nothing_failed():
    warned = cw.Model(
        lambda p: -jnp.sum((p["w"][:, None] - p["w"]) ** 2) - p["w"] @ p["w"], {"w": jnp.ones(6)}
    )
    report = warned.debug(0, verbosity=0)
    assert report and [check.name for check in report.warned] == ["broadcast"]
    failed = cw.Model(lambda p: jnp.log(-(p["w"] ** 2)), {"w": jnp.ones(())})
    report = failed.debug(0, verbosity=0)
    assert not report
    assert [check.name for check in report.failed][0] == "log density at test point"


def test_later_checks_are_skipped_with_the_reason():
    report = cw.Model(lambda p: -(p["w"] ** 2), {"w": jnp.ones(3)}).debug(0, verbosity=0)
    assert [check.name for check in report.failed] == ["log density shape"]
    assert report["initial states"].status == "skipped"
    assert report["initial states"].message == "Not run: it depends on `log density shape`."
    assert report["gradient norms"].details["because"] == "log density shape"
    names = {rule.name for rule in RULES}
    assert all(set(rule.needs) <= names for rule in RULES)


def test_method_form_adds_the_call(model):
    page = Page()
    kwargs = {"num_chains": 2, "max_tree_depth": 5}
    report = model.mcmc.numpyro_nuts.debug(0, kwargs=kwargs, printer=page)
    alone = {check.name for check in model.debug(0, verbosity=0).checks}
    added = {check.name for check in report.checks} - alone
    assert added == {"keywords", "memory of draws", "chains", "forecast"}
    assert "numpyro_nuts(num_chains=2, max_tree_depth=5)" in page.text
    assert "up to 31 gradients" in page.text
    assert alone <= {check.name for check in report.checks}


def test_unknown_keyword_and_a_missing_need(model):
    report = model.mcmc.numpyro_nuts.debug(0, verbosity=0, kwargs={"num_chain": 2})
    assert not report
    assert "Did you mean `num_chains`?" in report["keywords"].message
    assert report["forecast"].status == "skipped"
    with pytest.raises(TypeError, match="`kwargs` are the keywords of an algorithm"):
        model.debug(0, kwargs={"num_chains": 2})


def test_the_same_initial_states_as_the_call(model):
    context = Context(model, None, 3, {})
    report = model.debug(3, verbosity=0)
    from crewel.core.keys import as_key, chain_keys
    from crewel.run import initial

    keys = chain_keys(as_key(3), 4)[0]
    start = initial.find(model, model.target(), None, 4, keys)
    np.testing.assert_array_equal(
        report["log density at starts"].details["values"], start.log_density
    )
    assert context.checked_chains == 4


def test_optimizers_are_checked_without_the_jacobian(model):
    report = model.optimize.optax_adam.debug(0, verbosity=0, kwargs={"num_particles": 2})
    assert report
    assert report["log-determinant"].status == "skipped"
    assert "jacobian" not in report["log density at test point"].message.lower()


def test_every_row_can_be_forecast(model):
    """Each algorithm that knows its gradients says so from its own default options."""
    from crewel.adapters import ALGORITHMS
    from crewel.core.options import backend_options

    for row in ALGORITHMS:
        if row.gradients is not None:
            least, most = row.gradients_of(backend_options(row))
            assert 0 <= least <= most, row.name  # none of those that only evaluate the density


def test_expensive_checks_take_few_rows_and_say_so(monkeypatch):
    monkeypatch.setattr("crewel.checks.context.SLOW", 0.0)
    monkeypatch.setattr("crewel.checks.context.ROWS", 8)
    report = line().debug(0, verbosity=0)
    assert report
    for name in ("log density at starts", "gradient finite", "gradient and differences"):
        assert "on 8 of 12 rows" in report[name].message
    total = report["log density at test point"].details["value"]
    target = line().target()
    whole = target.log_density(target.transform.inverse(line().test_point))
    np.testing.assert_allclose(total, whole, rtol=1e-5)


def test_slow_densities_without_rows_skip_what_needs_many_evaluations(monkeypatch):
    monkeypatch.setattr("crewel.checks.context.BUDGET", 0.0)
    report = cw.Model(lambda p: -jnp.sum(p["w"] ** 2), {"w": jnp.ones(3)}).debug(0, verbosity=0)
    assert report
    assert report["gradient and differences"].status == "skipped"
    assert "too slow to be evaluated this often" in report["tails"].message
    assert "`init='uniform'`, 1 of them checked." in report["initial states"].message
