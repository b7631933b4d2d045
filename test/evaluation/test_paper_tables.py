"""The paper's tables for a network of the paper's size, and for figures that are known."""

from __future__ import annotations

from pathlib import Path

from mp_perception.evaluation.paper_tables import NetworkFigures, measure_network, paper_tables
from mp_perception.inference.predictor import Predictor
from mp_perception.network.checkpoint import write_checkpoint
from mp_perception.network.multitask import MultiTaskNetwork, describe_network


def test_the_first_table_counts_what_the_paper_counts(tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    write_checkpoint(path, MultiTaskNetwork(describe_network("mobilenet_v2")))
    figures = measure_network(Predictor.load(weights=path, input_size=(96, 320), num_threads=1), None)
    (table,) = paper_tables([figures])
    assert table.groups[0] == [
        ("paper, mobilenet_v2", "~2.4 M", "36.7", "RTX 2080 Ti, method not known"),
        ("paper, resnet50", "~75.1 M", "29.1", "RTX 2080 Ti, method not known"),
    ]
    ((name, parameters, rate, place),) = table.groups[1]
    assert (name, parameters) == ("small", "2,439,024")
    assert float(rate) > 0
    assert place == "cpu, fp32, 320x96, one image at a time"


def test_the_other_tables_have_the_18_metrics_the_papers_way_and_correct() -> None:
    metrics = ("d1", "d2", "d3", "rel", "rmse", "log10")
    faulty, correct = (dict.fromkeys(metrics, value) | {"images": 3, "count": 4} for value in (0.25, 0.5))
    depth = faulty | {"rmse_in_paper_units": 0.128, "correct": correct}
    objects = {"People": faulty, "Vehicle": faulty, "correct": {"People": correct, "Vehicle": correct}}
    result = {"depth": depth, "objects": objects}
    _, second, *third = paper_tables([NetworkFigures(name, None, 1.0, "here", result) for name in ("small", "large")])
    assert "small, paper's way: rmse 0.128 if the paper's unit is 3.906 m." in second.notes
    assert [table.title for table in third] == [
        "Table 3: depth of objects, People",
        "Table 3: depth of objects, Vehicle",
    ]
    for table, count in ((second, "3"), (third[0], "4"), (third[1], "4")):
        assert table.columns[2:] == list(metrics)
        assert table.groups == [
            [(f"{name}, paper's way", count, *["0.250"] * 6) for name in ("small", "large")],
            [(f"{name}, correct", count, *["0.500"] * 6) for name in ("small", "large")],
        ]
