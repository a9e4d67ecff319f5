"""``chameleon devices``: lists what can be tuned on."""

from typing import Annotated

import typer

from chameleon_ray.answering import answering
from chameleon_ray.commands.arguments import Debug
from chameleon_ray.commands.screen import screen


def devices(
    address: Annotated[str | None, typer.Option(help="Ray cluster to ask; else none.")] = None,
    debug: Debug = False,
) -> None:
    """Lists what every machine can tune on, and what is missing where it cannot."""
    with answering(debug):
        from chameleon_ray import api

        found = api.devices() if address is None else api.cluster_devices(address)
        for device in found:
            state = "ready" if device.usable else "not usable"
            screen.print(
                f"{device.node}: {device.target:10} {device.name}: {state}. {device.missing}.",
                markup=False,
            )
        if not any(device.usable for device in found):
            raise api.UserError("No device can be tuned on; see above.")
