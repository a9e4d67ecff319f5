"""What each address leads to: the list, a run, its report, a comparison, and the data of them."""

import json
import os
from collections.abc import Callable
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, unquote_to_bytes

from chameleon_ray.run_files import ZooFiles
from chameleon_ray.runs import comparing, showing
from chameleon_ray.runs.facts import opened
from chameleon_ray.runs.kept_run import KeptRun, as_json
from chameleon_ray.ui import pages
from chameleon_ray.ui.gallery import Gallery
from chameleon_ray.ui.server import FOREIGN, Answer, refusal

MOST = 8
"""Most runs that are compared at once."""
KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
OWN = {
    **dict.fromkeys(("ui.css", "ui.js"), ("chameleon_ray.ui", "files")),
    **dict.fromkeys(("page.css", *pages.DRAWING), ("chameleon_ray.report", "page")),
}
"""Files that pages ask for: package and folder of each."""


class Site:
    """Answers requests for what is in a gallery."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery

    def __call__(self, path: str, query: str) -> Answer:
        """Answers a request; ``path`` is what follows the secret.

        Raises:
            UserError: The files of a run are damaged, or of another version.
        """
        steps = path.split("/")
        if steps[0] == "run" and len(steps) > 2:
            return self._run(os.fsdecode(unquote_to_bytes(steps[1])), steps[2:])
        if path in OWN:
            return _own(path)
        answers: dict[str, Callable[[str], Answer]] = {
            "": self._list,
            "runs.json": self._list_json,
            "compare": self._compare,
            "compare.json": self._compare_json,
        }
        return answers[path](query) if path in answers else _nothing()

    def _list(self, query: str) -> Answer:
        return _html(pages.list_page(self._gallery.runs(), str(self._gallery.folder)))

    def _list_json(self, query: str) -> Answer:
        return _json({name: as_json(run) for name, run in self._gallery.runs().items()})

    def _run(self, name: str, steps: list[str]) -> Answer:
        run = self._gallery.run(name)
        if run is None:
            return _nothing()
        if steps == [""]:
            found = self._gallery.shown(run)
            return _html(pages.run_page(name, found, self._gallery.models(run)))
        if steps == ["run.json"]:
            return _json(showing.as_json(self._gallery.shown(run)))
        if steps == ["report.html"]:
            return _report(run.path)
        if steps[0] == "models" and len(steps) == 3 and steps[2] == "report.html":
            model = os.fsdecode(unquote_to_bytes(steps[1]))
            if model in self._gallery.models(run):
                return _report(ZooFiles(run.path).model(model))
        return _nothing()

    def _compare(self, query: str) -> Answer:
        runs = self._chosen(query)
        if runs is None:
            return _nothing()
        if len(runs) < 2:
            told = f"Choose at least two runs to compare them, and at most {MOST}."
            return refusal(HTTPStatus.BAD_REQUEST, told)
        return _html(pages.comparison_page(comparing.comparison([run.path for run in runs])))

    def _compare_json(self, query: str) -> Answer:
        runs = self._chosen(query)
        if runs is None or len(runs) < 2:
            return _nothing()
        return _json(comparing.as_json(comparing.comparison([run.path for run in runs])))

    def _chosen(self, query: str) -> list[KeptRun] | None:
        """Returns the runs that a query names, the oldest first; None where one is not there.

        There are none where it names too many.
        """
        try:
            names = parse_qs(query, max_num_fields=MOST, errors="surrogateescape").get("run", [])
        except ValueError:
            return []
        known = self._gallery.runs()
        if not all(name in known for name in names):
            return None
        return sorted((known[name] for name in dict.fromkeys(names)), key=lambda run: run.began)


def _report(folder: Path) -> Answer:
    """Returns the report that a run left; no link is followed."""
    if folder.is_symlink():
        return _nothing()
    try:
        with opened(folder / "report.html") as report:
            return Answer(report.read(), policy=FOREIGN)
    except OSError:
        return refusal(HTTPStatus.NOT_FOUND, "There is no report; the run is not finished.")


def _own(name: str) -> Answer:
    package, folder = OWN[name]
    text = (files(package) / folder / name).read_bytes()
    return Answer(text, KINDS[name.rpartition(".")[2]])


def _html(text: str) -> Answer:
    return Answer(text.encode("utf-8", "backslashreplace"))


def _json(body: object) -> Answer:
    return Answer(json.dumps(body, allow_nan=False).encode(), "application/json")


def _nothing() -> Answer:
    return refusal(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
