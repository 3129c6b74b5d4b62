"""Data for the examples, and how they report results."""

from __future__ import annotations

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split


def load(name, test_size=0.3):
    """Training inputs and targets, then held-out ones, of one of scikit-learn's data sets.

    Inputs (and the targets of a regression) are standardized by the training rows.
    """
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    classes = y if len(set(y)) < 20 else None
    parts = train_test_split(x, y, test_size=test_size, random_state=0, stratify=classes)
    x_train, x_test, y_train, y_test = (np.asarray(part, np.float32) for part in parts)
    mean, sd = x_train.mean(0), x_train.std(0) + 1e-6
    x_train, x_test = (x_train - mean) / sd, (x_test - mean) / sd
    if classes is not None:
        return x_train, y_train.astype(int), x_test, y_test.astype(int)
    mean, sd = y_train.mean(), y_train.std()
    return x_train, (y_train - mean) / sd, x_test, (y_test - mean) / sd


def report(name, post, x, y):
    """Print held-out accuracy or RMSE, with its standard error."""
    print(post)
    scores = post.metrics(x, y)
    tree = post.predict(x)["predictions"]
    if "accuracy" in scores:
        # One success and one failure are added, so that the error is not 0 if all are right.
        share = (scores["accuracy"] * len(y) + 1) / (len(y) + 2)
        error = np.sqrt(share * (1 - share) / (len(y) + 2))
        classes = tree["probability"].values.argmax(-1)
        draws = (classes == y).mean(-1).ravel()
        low, high = np.quantile(draws, [0.05, 0.95])
        print(
            f"{name}: held-out accuracy {scores['accuracy']:.3f} ± {error:.3f} ({len(y)} rows), "
            f"single draws {low:.3f} to {high:.3f}; log predictive density {scores['lppd']:.3f} "
            f"per row, calibration error {scores['ece']:.3f}"
        )
        return
    squared = (tree["outputs"].values[..., 0].mean((0, 1)) - y) ** 2
    error = squared.std() / np.sqrt(len(y)) / (2 * np.sqrt(squared.mean()))
    print(
        f"{name}: held-out RMSE {scores['rmse']:.3f} ± {error:.3f} (standard deviations of y, "
        f"{len(y)} rows); the 90 % intervals contain {scores['coverage']:.0%} of the rows; log "
        f"predictive density {scores['lppd']:.3f} per row"
    )
