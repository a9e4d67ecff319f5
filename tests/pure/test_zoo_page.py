"""The page of a zoo: whole, escaped, with the answers and the links to every model's report."""

from dataclasses import replace
from pathlib import Path

from chameleon_ray.report.result import Compared, Latency
from chameleon_ray.report.zoo import sentences
from chameleon_ray.report.zoo_page import render
from tests.pure.test_html import EVIL, parsed
from tests.pure.test_zoo import result_of


def test_the_page_is_whole_and_escaped(tmp_path: Path) -> None:
    page = render(result_of(tmp_path, EVIL))
    parser = parsed(page)
    assert not parser.tags & {"img", "link", "iframe"}
    assert EVIL not in page
    assert 'href="models/a/report.html"' in page
    assert "<pre>chameleon zoo " in page
    assert "--store none</pre>" in page
    assert "of the weighted sum of all layers." in page
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
    slower = Compared("ort", "1", Latency(3 * entry.result.tuned.seconds, 0.0), 1)
    compared = replace(entry, result=replace(entry.result, comparison=(slower,)))
    others = tuple(compared if one is entry else one for one in alone.entries)
    page = render(replace(alone, entries=others))
    top = page[page.index('class="hero"') :][:200]
    assert "3.00x</span> <small>as fast as ort (1 model), geometric mean" in top
    assert ">ort ms</th>" in page
