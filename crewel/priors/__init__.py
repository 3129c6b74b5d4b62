"""Priors over the parameters of a network, assigned by path."""

from crewel.priors.assignment import fan_in as fan_in
from crewel.priors.hierarchical import non_centred as non_centred
