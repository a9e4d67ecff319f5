"""A run of buckets is no zoo: what is said to whoever goes on with it as one."""

import re
from pathlib import Path

import pytest

from chameleon_ray.api.zoo import tune_zoo
from chameleon_ray.errors import UserError
from chameleon_ray.folder import ZooFolder
from chameleon_ray.options import Request, Zoo
from chameleon_ray.report.progress import Progress


def test_the_command_that_goes_on_with_a_run_of_buckets_is_quoted(tmp_path: Path) -> None:
    folder = ZooFolder(tmp_path / "my run", existing=False)
    folder.identify({"options": {"model": "my net.onnx", "inputs": ["x:{4,1}x64"]}})
    folder.close()
    told = re.escape(f" tune 'my net.onnx' --input 'x:{{4,1}}x64' --out '{folder.path}' --")
    with pytest.raises(UserError, match=told):
        tune_zoo(Zoo(Path(), Request("", out=str(folder.path), resume=True), ()), Progress())
