"""A run of buckets: one model for several shapes, with one budget and one library.

It is a zoo of the same model: equal layers are tuned once, and each bucket has a run directory.
"""

from dataclasses import replace
from pathlib import Path

from chameleon_ray.api.concurrency import Stop
from chameleon_ray.api.setup import set_up
from chameleon_ray.api.site import Site, directory
from chameleon_ray.api.zoo import model_of, tuned_site
from chameleon_ray.compiler.frontend.buckets import Bucket, buckets_of
from chameleon_ray.compiler.frontend.examples import given
from chameleon_ray.compiler.frontend.load import demand
from chameleon_ray.errors import UserError
from chameleon_ray.folder import ZooFolder
from chameleon_ray.options import Member, Request, Zoo
from chameleon_ray.report.progress import Progress
from chameleon_ray.report.zoo import ZooResult


def tune_buckets(request: Request, progress: Progress, stop: Stop | None = None) -> ZooResult:
    """Tunes a model for several shapes, and leaves one library of all in the run directory.

    Args:
        request: Request of the user, whose inputs list extents in braces.
        progress: Progress that is told what happens; its clock began with the command.
        stop: Ends the session from another thread; None where signals do.

    Raises:
        UserError: The request cannot be met for one of the shapes.
        Stopped: The user interrupted the session; the message says how to go on.
    """
    buckets = buckets_of(request.inputs)
    setup = set_up(request)
    demand_plain(request)
    for bucket in buckets:
        demand(request.model, given(bucket.inputs, ()))
    most = max(bucket.weight for bucket in buckets)
    members = tuple(_member(bucket, request, most) for bucket in buckets)
    zoo = Zoo(Path(request.model), request, members, together=True)
    return tuned_site(zoo, _site(zoo, request), setup, progress, stop)


def demand_plain(request: Request) -> None:
    """Demands that nothing is asked for that runs of buckets have not.

    Raises:
        UserError: It is.
    """
    lacking = {
        "--example has the values of one shape": request.examples,
        "--locked has the layers of one shape": request.locked,
        "--address has other machines run the model": request.on_cluster,
        "--target names a GPU": "llvm" not in request.target,
    }
    for why, asked in lacking.items():
        if asked:
            raise UserError(
                f"{why}, and buckets are not tuned so; tune each shape by itself, or leave it out."
            )


def _member(bucket: Bucket, request: Request, most: float) -> Member:
    return Member(bucket.name, replace(request, inputs=bucket.inputs), bucket.weight / most)


def _site(zoo: Zoo, request: Request) -> Site:
    folder = ZooFolder(directory(request), existing=request.resume)
    known, names = folder.identity(), [member.name for member in zoo.members]
    if known is not None and list(known["models"]) != names:
        folder.close()
        raise UserError(
            f"{folder.path} has other members ({', '.join(known['models'])}; asked for: "
            f"{', '.join(names)}); resume it with its own --input, or choose another --out."
        )
    models = [model_of(member, folder, request.resume) for member in zoo.members]
    for model in models:
        model.entry = model.name.replace("-", "_")
    words = ["tune", request.model, *(["--memory-aware"] if request.memory_aware else [])]
    words += [word for text in request.inputs for word in ("--input", text)]
    return Site(request, folder, models, words, together=True)
