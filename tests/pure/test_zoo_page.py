"""The page of a zoo: whole, escaped, with the answers and the links to every model's report."""

from pathlib import Path

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
