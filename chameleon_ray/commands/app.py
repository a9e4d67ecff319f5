"""The ``chameleon`` command: all commands, with the options that it has itself."""

import typer

from chameleon_ray.commands.apply import apply
from chameleon_ray.commands.bench import bench
from chameleon_ray.commands.check import check
from chameleon_ray.commands.command import Version, command
from chameleon_ray.commands.compare import compare
from chameleon_ray.commands.devices import devices
from chameleon_ray.commands.export import export
from chameleon_ray.commands.memory import memory
from chameleon_ray.commands.pending import pending
from chameleon_ray.commands.replay import replay
from chameleon_ray.commands.rm import rm
from chameleon_ray.commands.runs import runs
from chameleon_ray.commands.show import show
from chameleon_ray.commands.store import store
from chameleon_ray.commands.tune import tune
from chameleon_ray.commands.ui import ui
from chameleon_ray.commands.version import version
from chameleon_ray.commands.watch import watch
from chameleon_ray.commands.zoo import zoo

app = typer.Typer(
    help="Tunes whole deep-learning models for TVM: Chameleon's search, in parallel on Ray.",
    epilog="chameleon COMMAND -h explains a command; --install-completion lets the shell complete.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for function in (
    tune,
    zoo,
    apply,
    bench,
    check,
    compare,
    export,
    pending,
    replay,
    runs,
    show,
    watch,
    rm,
    ui,
    memory,
    devices,
    version,
):
    command(app)(function)
command(app, "diff", hidden=True)(compare)  # its earlier name
app.add_typer(store, name="store", no_args_is_help=True)


@app.callback()
def options(version: Version = False) -> None:
    """Tunes whole deep-learning models for TVM: Chameleon's search, in parallel on Ray."""
