"""The course of a run that is kept: what the whole model took, by its layers, as time went by."""

from collections.abc import Mapping

from chameleon_ray.database import read_folder
from chameleon_ray.errors import UserError
from chameleon_ray.report.course import Course, layers_of
from chameleon_ray.report.model_figure import End
from chameleon_ray.runs.facts import Facts
from chameleon_ray.runs.kept_run import KeptRun
from chameleon_ray.runs.layers import called
from chameleon_ray.runs.showing import Shown


def course_so_far(found: Shown) -> Course | None:
    """Returns the course of the last session of a run without a summary; None before any."""
    if found.progress is None:
        return None
    tasks = [layer.task for layer in found.progress.layers.values()]
    course = Course.of(layers_of(tasks), found.records)
    return course if course.points else None


def course_of(run: KeptRun) -> Course | None:
    """Returns the course of a finished run, from its records; None where these say nothing."""
    try:
        course = Course.of(_layers(run), read_folder(run.path / "records"))
    except (UserError, OSError):
        return None
    return course if course.points else None


def end_of(run: KeptRun) -> End | None:
    """Returns what is known at the end of a run; None while there is no summary."""
    layers = run.summary.number("layers_ms")
    if layers is None:
        return None
    return End(
        run.summary.number("wall_seconds") or 0.0,
        layers,
        None if run.seconds is None else 1e3 * run.seconds,
        None if run.untuned is None else 1e3 * run.untuned,
        {rival.name: 1e3 * rival.seconds for rival in run.rivals if rival.seconds is not None},
    )


def names_of(found: Shown) -> Mapping[str, str]:
    """Returns what people call each layer, by the digests of its tasks."""
    if found.progress is not None:
        names, layers = found.progress.names, found.progress.layers
        return {digest: names[layer.task.layer] for digest, layer in layers.items()}
    layer_of, names = _lowerings(found.run), {}
    for task in found.run.summary.rows("tasks"):
        names[layer_of.get(task.text("digest"), task.text("digest"))] = called(task)
    return names | {one: names[layer] for one, layer in layer_of.items() if layer in names}


def _layers(run: KeptRun) -> dict[str, tuple[str, float]]:
    """Returns the layer and the weight of each task; a lowering has the weight of its layer."""
    layer_of = _lowerings(run)

    def layer(task: Facts) -> str:
        return layer_of.get(task.text("digest"), task.text("digest"))

    weights = {layer(task): task.number("weight") or 0.0 for task in run.summary.rows("tasks")}
    own = {digest: layer_of.get(digest, digest) for digest in run.identity.items("layers")}
    return {digest: (one, weights[one]) for digest, one in own.items() if one in weights}


def _lowerings(run: KeptRun) -> dict[str, str]:
    """Returns the digest of the layer whose place a task may take, by that task's."""
    pairs = run.identity.items("lowerings").items()
    return {one: layer for one, layer in pairs if isinstance(layer, str)}
