"""``chameleon devices``: lists what can be tuned on."""

from dataclasses import asdict
from typing import Annotated

import typer

from chameleon_ray.commands.arguments import Json
from chameleon_ray.commands.screen import print_json, screen


def devices(
    address: Annotated[str | None, typer.Option(help="Ray cluster to ask; else none.")] = None,
    json: Json = False,
) -> None:
    """Lists what every machine can tune on, and what is missing where it cannot.

    Examples: chameleon devices; chameleon devices --address auto --json
    """
    from chameleon_ray import api

    found = api.devices() if address is None else api.cluster_devices(address)
    if json:
        print_json([asdict(device) for device in found])
    for device in () if json else found:
        state = "ready" if device.usable else "not usable"
        screen.print(
            f"{device.node}: {device.target:10} {device.name}: {state}. {device.missing}.",
            markup=False,
        )
    if not any(device.usable for device in found):
        raise api.UserError("No device can be tuned on; see above.")
