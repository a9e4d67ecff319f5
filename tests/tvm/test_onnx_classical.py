"""Trees, linear models and what prepares their features, of ai.onnx.ml, against ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from sklearn.ensemble import RandomForestRegressor

from tests.tvm.onnx_graph import assert_like_onnxruntime, graph

DOMAIN = "ai.onnx.ml"


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def check(
    kind: str,
    feeds: dict[str, np.ndarray],
    folder: Path,
    outputs: tuple[str, ...] = ("y",),
    version: int = 3,
    **attributes: Any,
) -> None:
    node = helper.make_node(kind, list(feeds), list(outputs), domain=DOMAIN, **attributes)
    model = graph([node], feeds, outputs, None, 17, ai_onnx_ml=version)
    assert_like_onnxruntime(model, feeds, folder)


def forest(
    prefix: str, targets: int, mode: str = "BRANCH_LEQ", least: float = -1
) -> dict[str, Any]:
    """The trees of a random forest as ONNX's tables, a target for each leaf."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 4))
    model = RandomForestRegressor(5, max_depth=4, random_state=0).fit(x, x[:, 0] * x[:, 1])
    tables: dict[str, list[Any]] = {
        f"nodes_{name}": []
        for name in (
            *("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids"),
            "missing_value_tracks_true",
        )
    }
    leaves: dict[str, list[Any]] = {
        f"{prefix}_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")
    }
    for number, one in enumerate(model.estimators_):
        tree = one.tree_
        for place in range(tree.node_count):
            leaf = tree.children_left[place] < 0
            row = [number, place, 0 if leaf else tree.feature[place]]
            row += [0.0 if leaf else float(np.float32(tree.threshold[place]))]
            row += ["LEAF" if leaf else mode]
            row += [max(int(tree.children_left[place]), 0), max(int(tree.children_right[place]), 0)]
            row += [int(number % 2)]
            for values, value in zip(tables.values(), row, strict=True):
                values.append(value)
            if leaf:
                weight = max(float(tree.value[place].item()), least)
                for target in range(targets):
                    row = [number, place, target, weight * (1 + place % (target + 2))]
                    for values, value in zip(leaves.values(), row, strict=True):
                        values.append(value)
    return tables | leaves


def samples() -> np.ndarray:
    x = drawn(7, 4)
    x[2, 1] = x[5, 0] = np.nan
    return x


@pytest.mark.parametrize("mode", ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"])
@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE"])
def test_trees_that_regress(mode: str, aggregate: str, tmp_path: Path) -> None:
    tables = forest("target", 2, mode)
    given = {"n_targets": 2, "aggregate_function": aggregate, "base_values": [0.5, -2.0]}
    check("TreeEnsembleRegressor", {"x": samples()}, tmp_path, **tables, **given)


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_trees_that_classify(transform: str, tmp_path: Path) -> None:
    tables = forest("class", 3)
    given = {"classlabels_int64s": [7, 5, 9], "post_transform": transform}
    outputs = ("label", "scores")
    check("TreeEnsembleClassifier", {"x": samples()}, tmp_path, outputs, **given, **tables)


@pytest.mark.parametrize("least", [-9.0, 0.0])
@pytest.mark.parametrize("scored", [0, 1])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC"])
def test_trees_with_one_score_of_two_classes(
    least: float, scored: int, transform: str, tmp_path: Path
) -> None:
    tables = forest("class", 1, least=least)
    tables["class_ids"] = [scored] * len(tables["class_ids"])
    given = {"classlabels_int64s": [0, 1], "post_transform": transform}
    outputs = ("label", "scores")
    check("TreeEnsembleClassifier", {"x": samples()}, tmp_path, outputs, **given, **tables)


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_linear_classifier(classes: int, transform: str, tmp_path: Path) -> None:
    if classes == 1 and transform == "SOFTMAX":
        pytest.skip("a single score has no softmax")
    check(
        "LinearClassifier",
        {"x": drawn(6, 4)},
        tmp_path,
        ("label", "scores"),
        coefficients=drawn(classes * 4),
        intercepts=drawn(classes),
        classlabels_ints=[0, 1, 8][: max(classes, 2)],
        post_transform=transform,
    )


def test_linear_regressor(tmp_path: Path) -> None:
    given = {"coefficients": drawn(8), "intercepts": drawn(2), "targets": 2}
    check("LinearRegressor", {"x": drawn(6, 4)}, tmp_path, **given)


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_normalizer(norm: str, tmp_path: Path) -> None:
    x = drawn(4, 5)
    x[1] = 0 if norm != "MAX" else 1
    check("Normalizer", {"x": x}, tmp_path, norm=norm)


def test_features_are_prepared(tmp_path: Path) -> None:
    x = drawn(4, 3)
    check("Scaler", {"x": x}, tmp_path, offset=[0.1, 0.2, 0.3], scale=[2.0, 3.0, 4.0])
    check("Binarizer", {"x": x}, tmp_path, threshold=0.25)
    check("FeatureVectorizer", {"x": x, "z": drawn(4, 2)}, tmp_path, inputdimensions=[3, 2])
    check("ArrayFeatureExtractor", {"x": x, "places": np.array([2, 0])}, tmp_path)
    x[1, 2] = np.nan
    values = {"imputed_value_floats": [1.0, 2.0, 3.0], "replaced_value_float": float("nan")}
    check("Imputer", {"x": x}, tmp_path, **values)
