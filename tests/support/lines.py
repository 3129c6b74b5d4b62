"""A linear network of three inputs on twenty rows."""

from __future__ import annotations

import numpy as np

import crewel as cw

ROWS = 20


def inputs(seed=0):
    return np.random.default_rng(seed).normal(size=(ROWS, 3)).astype(np.float32)


def linear(params, x):
    return x @ params["w"]


def example(outputs, seed=1):
    return {"w": np.random.default_rng(seed).normal(size=(3, outputs)).astype(np.float32)}


def linear_model(y, likelihood, outputs=1, **kwargs):
    return cw.wrap(linear, inputs(), y, likelihood=likelihood, example=example(outputs), **kwargs)


def normals(seed=2, shape=(ROWS,)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
