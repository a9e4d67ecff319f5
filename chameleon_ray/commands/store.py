"""``chameleon store``: looks at a store of tuned layers, tidies it, and copies entries."""

from typing import Annotated

import typer

from chameleon_ray.answering import answering
from chameleon_ray.commands.arguments import Debug, Store
from chameleon_ray.commands.screen import screen, tell

store = typer.Typer(help="Looks at the store of tuned layers, tidies it, and copies entries.")


@store.command("ls")
def list_layers(store: Store = None, debug: Debug = False) -> None:
    """Lists the layers of a store."""
    with answering(debug):
        from chameleon_ray.api import storage
        from chameleon_ray.report.store import listed

        entries = storage.stored(store, tell)
        screen.print(listed(entries) if entries else "The store is empty.")


@store.command("show")
def show(
    layer: Annotated[str, typer.Argument(help="Digest of a layer, or a part of its name.")],
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Shows all that a store knows of a layer."""
    with answering(debug):
        from chameleon_ray.api import storage
        from chameleon_ray.report.store import shown

        for line in shown(storage.stored(store, tell, layer)):
            screen.print(line, markup=False, highlight=False, soft_wrap=True)


@store.command("gc")
def collect(
    days: Annotated[
        float | None, typer.Option(min=0, help="Remove entries that are older; else a year.")
    ] = None,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Merges entries of one layer, and removes those that are old or cannot be read."""
    with answering(debug):
        from chameleon_ray.api import storage

        done = storage.collected(store, days, tell)
        screen.print(
            f"{done.merged} entries merged into others; removed: {done.old} old ones, "
            f"{done.unusable} that cannot be used, {done.unfinished} unfinished files."
        )


@store.command("export")
def export(
    target: Annotated[str, typer.Argument(help="A folder or a URL.")],
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Adds the entries of a store to another one."""
    with answering(debug):
        from chameleon_ray.api import storage

        screen.print(f"{storage.exported(store, target, tell)} entries written to {target}.")


@store.command("import")
def take(
    source: Annotated[str, typer.Argument(help="A folder, a URL, or the directory of a run.")],
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Adds the entries of another store, or of a run, to a store."""
    with answering(debug):
        from chameleon_ray.api import storage

        screen.print(f"{storage.imported(store, source, tell)} entries taken from {source}.")
