"""``chameleon ui``: shows runs in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from chameleon_ray.commands.arguments import Json
from chameleon_ray.commands.screen import plain, print_json, tell

PORT = 8421


def ui(
    folder: Annotated[Path, typer.Argument(help="The folder, or one run.")] = Path("runs"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; another one where it is taken.")
    ] = PORT,
    json: Json = False,
) -> None:
    """Shows the runs below a folder in a browser on this machine, until Ctrl-C.

    Nothing can be changed there, and nobody else can read it: the address has a secret.
    With --json the address is printed as JSON.

    Examples: chameleon ui; chameleon ui experiments --port 9000
    """
    from chameleon_ray.runs.finding import demand_folder
    from chameleon_ray.ui.gallery import Gallery
    from chameleon_ray.ui.server import LocalServer
    from chameleon_ray.ui.site import Site

    demand_folder(folder)
    with LocalServer(port, Site(Gallery(folder))) as server:
        if json:
            print_json({"address": server.address, "port": server.server_port})
        else:
            plain([f"The runs in {folder} are at {server.address}"])
            tell("Ctrl-C ends this; from another machine: ssh -L, as docs/guides/runs.md says.")
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            tell("Ended.")
