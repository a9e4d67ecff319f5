"""The page of a zoo: whole, escaped, with the answers and the links to every model's report."""

import re
from dataclasses import replace
from html import escape, unescape
from pathlib import Path

from chameleon_ray.measure.ceiling import Ceiling
from chameleon_ray.report.layer_result import LayerOutcome
from chameleon_ray.report.result import Compared, Latency
from chameleon_ray.report.zoo_message import sentences
from chameleon_ray.report.zoo_page import render
from tests.pure.test_html import EVIL, parsed
from tests.pure.test_zoo import result_of


def commands(page: str) -> list[str]:
    """The commands in boxes of their own, as they are copied."""
    return [unescape(re.sub("<[^>]*>", "", one)) for one in re.findall("<pre>(.*?)</pre>", page)]


def answer(page: str, question: str) -> str:
    """What is answered to a question, as text."""
    found = re.search(f"<h3>{re.escape(escape(question))}</h3>(.*?)</div>", page)
    assert found is not None, question
    return unescape(re.sub("<[^>]*>", "", found[1]))


def test_the_page_is_whole_and_escaped(tmp_path: Path) -> None:
    page = render(result_of(tmp_path, EVIL))
    parser = parsed(page)
    assert not parser.tags & {"img", "link", "iframe"}
    assert EVIL not in page
    assert 'href="models/a/report.html"' in page
    assert commands(page)[0].startswith("chameleon zoo ")
    assert commands(page)[0].endswith(" --store none")
    assert page.count("report.html<") + page.count('report.html"') == 2, (
        "the model that failed has none"
    )
    assert any("4 layers, 3 after" in said for said in sentences(result_of(tmp_path)))


def test_the_first_figure_is_beside_what_people_would_run(tmp_path: Path) -> None:
    alone = result_of(tmp_path)
    assert "as fast as untuned TVM (" in render(alone)
    entry = next(one for one in alone.entries if one.result and one.result.tuned)
    assert entry.result is not None
    assert entry.result.tuned is not None
    slowest = Compared("torch", "1", Latency(4 * entry.result.tuned.seconds, 0.0), 1)
    slower = Compared("ort", "1", Latency(3 * entry.result.tuned.seconds, 0.0), 1)
    compared = replace(entry, result=replace(entry.result, comparison=(slowest, slower)))
    others = tuple(compared if one is entry else one for one in alone.entries)
    page = render(replace(alone, entries=others))
    top = page[page.index('class="hero"') :][:200]
    assert "3.00x</span> <small>as fast as ort (1 model), geometric mean" in top
    assert ">ort, ms</th>" in page
    assert (
        "<b>Yes.</b> Geometric means: 4.00x as fast as torch, faster in 1 of 1 model; 3.00x" in page
    )


def test_all_five_questions_are_answered_for_the_zoo(tmp_path: Path) -> None:
    alone = result_of(tmp_path)
    timed = next(one for one in alone.entries if one.result and one.result.tuned)
    assert timed.result is not None
    slow = Compared("ort", fault="it did not answer within 6.7 s")
    ceiling = Ceiling(flops=1e12, bytes=1e11, cores=1)
    result = replace(timed.result, comparison=(slow,), ceiling=ceiling)
    others = tuple(
        replace(one, result=replace(one.result, ceiling=ceiling)) if one.result else one
        for one in alone.entries
    )
    entries = tuple(
        replace(one, result=result) if one.name == timed.name else one for one in others
    )
    page = render(replace(alone, entries=entries))
    assert "of all layers' time" in answer(page, "Which module takes most time?")
    limit = answer(page, "Is it near the machine's limit?")
    assert limit.startswith(("No.", "Nearly.", "Yes.", "Not known"))
    faster = answer(page, "Is it faster than ort?")
    assert "Nothing else was timed beside the models in this run." in faster
    assert f"Not compared with ort: {timed.name} (it did not answer within 6.7 s)." in faster
    assert answer(page, "What would 2 more minutes of search bring?")
    more = answer(page, "What can I do next?")
    assert f"--out {alone.folder} --resume --minutes " in more
    assert commands(page)[0].split()[:2] == ["chameleon", "zoo"]


def test_layers_of_the_zoo_end_with_the_final_timings_and_count_by_weight(tmp_path: Path) -> None:
    alone = result_of(tmp_path)
    first, *others = alone.entries
    assert first.result is not None
    digest = alone.merged.tasks[0].digest
    won = LayerOutcome(digest, (0, 2), 9e-3, 0.5e-3)
    final = replace(first, result=replace(first.result, outcomes=(won,)))
    rows = {row.task.digest: row for row in replace(alone, entries=(final, *others)).layers}
    assert rows[digest].best == 0.5e-3
    before = {row.task.digest: row for row in alone.layers}
    assert {one: row.best for one, row in rows.items() if one != digest} == {
        one: row.best for one, row in before.items() if one != digest
    }
    weights = {task.digest: task.weight for task in alone.merged.tasks}
    assert {one: row.task.weight for one, row in rows.items()} == weights
