"""``chameleon store``: looks at a store of tuned layers, tidies it, and copies entries."""

from dataclasses import asdict
from typing import Annotated

import typer

from chameleon_ray.commands.arguments import Json, Store
from chameleon_ray.commands.command import command
from chameleon_ray.commands.screen import plain, print_json, screen, table, tell

store = typer.Typer(help="Looks at the store of tuned layers, tidies it, and copies entries.")


@command(store, "ls")
def list_layers(store: Store = None, json: Json = False) -> None:
    """Lists the layers of a store.

    Examples: chameleon store ls; chameleon store ls --store /shared/layers --json
    """
    from chameleon_ray.api import storage
    from chameleon_ray.report.store import figures, listed

    entries = storage.stored(store, tell)
    if json:
        print_json([figures(entry) for entry in entries])
    else:
        table(listed(entries) if entries else "The store is empty.")


@command(store, "show")
def show(
    layer: Annotated[
        str, typer.Argument(help="Digest of a layer, or a part of its name or shapes.")
    ],
    store: Store = None,
    json: Json = False,
) -> None:
    """Shows all that a store knows of a layer.

    Examples: chameleon store show conv2d
    """
    from chameleon_ray.api import storage
    from chameleon_ray.report.store import figures, shown

    entries = storage.stored(store, tell, layer)
    if json:
        print_json([figures(entry) for entry in entries])
    else:
        plain(shown(entries))


@command(store, "gc")
def collect(
    days: Annotated[
        float | None, typer.Option(min=0, help="Remove entries that are older; else a year.")
    ] = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Merges entries of one layer, and removes those that are old or cannot be read.

    Examples: chameleon store gc --days 30
    """
    from chameleon_ray.api import storage

    done = storage.collected(store, days, tell)
    if json:
        print_json(asdict(done))
        return
    screen.print(
        f"{done.merged} entries merged into others; removed: {done.old} old ones, "
        f"{done.unusable} that cannot be used, {done.unfinished} unfinished files."
    )


@command(store, "export")
def export(
    target: Annotated[str, typer.Argument(help="A folder or a URL.")],
    store: Store = None,
    json: Json = False,
) -> None:
    """Adds the entries of a store to another one.

    Examples: chameleon store export /shared/layers
    """
    from chameleon_ray.api import storage

    count = storage.exported(store, target, tell)
    if json:
        print_json({"entries": count, "target": target})
    else:
        screen.print(f"{count} entries written to {target}.")


@command(store, "import")
def take(
    source: Annotated[str, typer.Argument(help="A folder, a URL, or the directory of a run.")],
    store: Store = None,
    json: Json = False,
) -> None:
    """Adds the entries of another store, or of a run, to a store.

    Examples: chameleon store import runs/resnet
    """
    from chameleon_ray.api import storage

    count = storage.imported(store, source, tell)
    if json:
        print_json({"entries": count, "source": source})
    else:
        screen.print(f"{count} entries taken from {source}.")
