"""Where a network's parameters and the latents are within a model's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crewel.core.protocol import Params


@dataclass(frozen=True)
class Layout:
    """How a network's parameters and the latents make up a model's parameters.

    Where the network's parameters are a dict, the latents join it, next to the layers. Any other
    pytree goes under the key `network` if there are latents, and stands alone if there are none.

    Attributes:
        latents: names of the latents.
        merged: whether the network's parameters are a dict that the latents join.

    Examples:
        >>> layout = Layout.of({"Dense_0": {"bias": 0.0}}, ("sigma",))
        >>> layout.join({"Dense_0": {"bias": 0.0}}, {"sigma": 1.0})
        {'Dense_0': {'bias': 0.0}, 'sigma': 1.0}
        >>> Layout.of([0.0], ("sigma",)).join([0.0], {"sigma": 1.0})
        {'network': [0.0], 'sigma': 1.0}
    """

    latents: tuple[str, ...]
    merged: bool

    @classmethod
    def of(cls, params: Params, latents: tuple[str, ...]) -> Layout:
        """The layout of a network's parameters with these latents.

        Raises:
            ValueError: a latent has the same name as a layer.
        """
        merged = type(params) is dict and all(isinstance(key, str) for key in params)
        clash = sorted(set(latents) & set(params if merged else ["network"]))
        if clash:
            raise ValueError(
                f"`latents` has the names {clash}, which the network's parameters also have. "
                "Rename them."
            )
        return cls(latents, merged)

    def join(self, params: Params, latents: Mapping[str, Any]) -> Params:
        """The model's parameters."""
        if not self.latents:
            return params
        return {**(params if self.merged else {"network": params}), **latents}

    def split(self, params: Params) -> tuple[Params, dict[str, Any]]:
        """The network's parameters and the latents."""
        if not self.latents:
            return params, {}
        latents = {name: params[name] for name in self.latents}
        rest = {name: value for name, value in params.items() if name not in latents}
        return rest if self.merged else rest["network"], latents
