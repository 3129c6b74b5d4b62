"""What `wrap` says about data that are not rows of numbers, and about data frames."""

from __future__ import annotations

import numpy as np
import pytest
from flax import linen as nn
from support.lines import ROWS, example, inputs, linear, normals

import crewel as cw

pd = pytest.importorskip("pandas")


def wrapped(x, y, **kwargs):
    return cw.wrap(linear, x, y, likelihood="gaussian", **({"example": example(1)} | kwargs))


def ragged():
    rows = np.empty(ROWS, object)
    rows[:] = [[0.0] * (1 + i % 2) for i in range(ROWS)]
    return rows


def masked(values):
    return np.ma.masked_array(values, mask=np.arange(values.size).reshape(values.shape) == 7)


@pytest.mark.parametrize(
    ("error", "match", "x", "y"),
    [
        (ValueError, "`x` has no rows", np.zeros((0, 3)), np.zeros(0)),
        (ValueError, r"`x` is \{\}, without any array", {}, normals()),
        (TypeError, "`x` is complex", inputs() + 0j, normals()),
        (TypeError, "`y` is complex", inputs(), normals() * 1j),
        (TypeError, "`x` has dtype object", inputs().astype(object), normals()),
        (TypeError, "rows of different lengths must be padded", ragged(), normals()),
        (ValueError, "`x.0` has 20, `x.1` has 19", (inputs(), inputs()[1:]), normals()),
        (ValueError, "pytree of scalars", [[1.0, 2.0], [3.0]], normals()),
        (ValueError, "`x` is a masked array with 1 masked values", masked(inputs()), normals()),
        (ValueError, "`y` is a masked array with 1 masked", inputs(), masked(normals())),
        (TypeError, r"`y` holds strings.*numpy.unique\(y, return_inverse=True\)", inputs(),
         np.array(["a", "b"] * 10)),
        (TypeError, "`y` holds strings", inputs(), pd.Series(["a", "b"] * 10)),
    ],
)  # fmt: skip
def test_data_that_are_not_rows_of_numbers(error, match, x, y):
    with pytest.raises(error, match=match):
        wrapped(x, y)


def test_a_masked_array_without_masked_values_is_an_array():
    model = wrapped(np.ma.masked_array(inputs()), np.ma.masked_array(normals()))
    np.testing.assert_array_equal(model.data["x"], inputs())


def test_a_network_without_parameters():
    with pytest.raises(ValueError, match="no parameters to sample"):
        wrapped(inputs(), normals(), example={})
    with pytest.raises(ValueError, match="no parameters to sample"):
        cw.wrap(
            nn.LayerNorm(use_scale=False, use_bias=False), inputs(), inputs(), likelihood="gaussian"
        )
    with pytest.raises(ValueError, match="`test_point` has no parameters"):
        cw.Model(lambda p: 0.0, {})


def test_a_model_of_no_rows():
    with pytest.raises(ValueError, match="`data` has no rows"):
        cw.Model(lambda p, data: -(p**2) * data.sum(), 0.0, data=np.zeros((0, 2)))


def frame():
    return pd.DataFrame(inputs(), columns=["a", "b", "c"])


def test_a_frame_is_the_array_of_its_columns():
    model = wrapped(frame(), pd.Series(normals()))
    np.testing.assert_array_equal(model.data["x"], inputs())
    mixed = frame().assign(b=np.arange(ROWS) % 2 == 0, c=pd.array(range(ROWS), dtype="Int64"))
    found = np.asarray(wrapped(mixed, normals()).data["x"])
    np.testing.assert_array_equal(found[:, 1:], np.stack([1 - np.arange(ROWS) % 2, range(ROWS)], 1))


def test_columns_that_are_not_numbers_are_named():
    letters = ["u", "v"] * 10
    wrong = frame().assign(a=letters, c=pd.Categorical(letters))
    with pytest.raises(TypeError, match=r"not numbers: 'a' \(.*\), 'c' \(category\)"):
        wrapped(wrong, normals())
    with pytest.raises(ValueError, match="two columns called 'a'"):
        wrapped(frame().set_axis(["a", "b", "a"], axis=1), normals())


def test_a_target_with_another_index():
    y = pd.Series(normals())
    with pytest.raises(ValueError, match="`y` has another index than `x`"):
        wrapped(frame(), y.sample(frac=1.0, random_state=0))
    model = wrapped({"x": frame()}["x"], y.to_numpy())
    np.testing.assert_array_equal(model.data["y"], normals())


class Column:
    """A column as polars has it: its dtype has no `kind`."""

    def __init__(self, values):
        self.values, self.dtype = np.asarray(values), "Float32"

    def __array__(self, dtype=None, copy=None):
        return self.values.astype(dtype or self.values.dtype)


class Frame:
    """A data frame of another library than pandas."""

    def __init__(self, **columns):
        self.made = {name: Column(values) for name, values in columns.items()}
        self.columns = list(columns)

    def __getitem__(self, name):
        return self.made[name]

    def to_numpy(self):
        return np.stack([column.values for column in self.made.values()], -1)


def test_frames_of_other_libraries():
    a, b, c = inputs().T
    model = wrapped(Frame(a=a, b=b, c=c), normals())
    np.testing.assert_array_equal(model.data["x"], inputs())
    with pytest.raises(TypeError, match="not numbers: 'b'"):
        wrapped(Frame(a=a, b=["u"] * ROWS, c=c), normals())
