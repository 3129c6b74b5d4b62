"""Models written in another language: NumPyro, TFP, PyMC, Oryx, bayeux. Each returns a `Model`."""
