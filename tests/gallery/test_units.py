"""What is said of units is what they do on the images of the split."""

import csv

import numpy as np
import pytest

from convlens import interpret
from convlens.gallery.registry import groups
from convlens.gallery.unit_statistics import write_table


def test_one_pass_over_the_split_answers_every_question_about_units(cars_run, arrays_of, monkeypatch):
    from convlens.models import conv_layers, feature_maps

    passed, collectors_of = [], interpret.unit_pass
    monkeypatch.setattr(interpret, "unit_pass", lambda *a, **k: passed.append(a) or collectors_of(*a, **k))
    figures = arrays_of(cars_run, ["units"], images=20, layers=["block2_conv1"])
    assert len(passed) == 1
    assert {name.partition("-")[0] for name in figures} == set(groups()["units"])
    layered = ("unit_statistics", "top_patches", "concepts", "ablation")
    assert set(figures) >= {f"{figure}-block2_conv1" for figure in layered} | {"receptive_field", "kernel_spectrum"}

    columns = zip(*cars_run.data.sample("test", 64, 20, masks=True), strict=True)
    images, labels, masks = (np.concatenate(column) for column in columns)
    maps = feature_maps(cars_run.model, images, ["block2_conv1"])["block2_conv1"]["detect"]
    table = figures["unit_statistics-block2_conv1"]["table"]
    np.testing.assert_allclose(table["active"], (maps > 0).mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(table["maximum"], maps.max(axis=(0, 1, 2)), rtol=1e-5)
    best = np.sort(maps.max(axis=(1, 2)), axis=0)[::-1][:9].T
    np.testing.assert_allclose(figures["top_patches-block2_conv1"]["values"], best, rtol=1e-5)
    most = cars_run.data.spread("test", 20)[maps.max(axis=(1, 2)).argmax(axis=0)]
    assert figures["top_patches-block2_conv1"]["index"][:, 0].tolist() == most.tolist()
    scores = interpret.concept_scores(
        cars_run.model, [(images, labels, masks)], cars_run.data.info.part_names, ["block2_conv1"], share=0.02
    )
    np.testing.assert_array_equal(figures["concepts-block2_conv1"]["iou"], scores["block2_conv1"].iou)
    ablation = interpret.ablate(cars_run.model, [(images, labels)], "block2_conv1")
    np.testing.assert_allclose(
        figures["ablation-block2_conv1"]["loss_change"], ablation.loss_change[ablation.ranked()], atol=1e-5
    )
    kernel = conv_layers(cars_run.model)[1].kernel
    values = np.linalg.svd(kernel.reshape(-1, 6), compute_uv=False)
    np.testing.assert_allclose(figures["kernel_spectrum"]["block2_conv1"], values, rtol=1e-5)
    (box,) = figures["receptive_field"]["boxes"].tolist()
    assert box == [13, 13, 21, 21]  # a convolution, a pooling by two and another convolution: 8 pixels
    effective = figures["receptive_field"]["effective"][0]
    assert effective[13:21, 13:21].sum() == pytest.approx(effective.sum()) and effective.any()


def test_the_table_of_all_units_is_written_as_csv(cars_run, inputs_of, tmp_path):
    inputs = inputs_of(cars_run, ["unit_statistics"], images=20, layers=["block2_conv1"])
    (path,) = write_table(inputs, tmp_path / "new")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    table = interpret.unit_table(inputs.unit_results.statistics)
    assert [float(row["maximum"]) for row in rows] == table["maximum"].tolist()
