"""What is drawn of a run, of two runs, and of the data that they were trained on."""

import csv

import numpy as np
import pytest
from PIL import Image

from convlens import interpret
from convlens.configs import Train, Visualize
from convlens.core.errors import UserError
from convlens.gallery.registry import GROUPS, planned
from convlens.gallery.subject import Subject
from convlens.visualize import visualize


def a_run(folder, **data):
    """A run whose network has learned nothing, as training would leave it."""
    from convlens.data import open_dataset
    from convlens.models import build_model
    from convlens.training import Run

    config = Train(data=data, model={"filters": [4, 6], "kernel_size": 3, "head": {"dense": [8]}})
    run = Run.create(folder, "tiny", config)
    info = open_dataset(config.data, progress=False).info
    run.write_labels(info.classes)
    model = build_model(config.model, info.image_size, info.channels, len(info.classes), seed=0)
    run.save_model(model, epoch=1, val_accuracy=0.5)
    return Run.open(run.path)


@pytest.fixture(scope="module")
def cars_run(cars_dir, tmp_path_factory):
    """A run on a few images of the embedded dataset, with masks of their parts."""
    folder = tmp_path_factory.mktemp("runs")
    return a_run(folder, source="rendered_cars", data_dir=str(cars_dir), image_size=[32, 32])


@pytest.fixture(scope="module")
def photos_run(tmp_path_factory):
    """A run on a folder of photographs, which have no masks."""
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for name in ("train/day", "train/night", "test/day", "test/night"):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            pixels = generator.integers(0, 256, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return a_run(folder / "runs", source="folder", root=str(folder))


def drawn(folder):
    """The arrays behind every figure in a folder, by the figure's name."""
    return {path.stem: dict(np.load(path)) for path in folder.glob("*.npz")}


def test_one_pass_over_the_split_answers_every_question_about_units(cars_run, tmp_path, monkeypatch):
    from convlens.models import conv_layers, feature_maps

    passed = []
    once = interpret.unit_pass
    monkeypatch.setattr(interpret, "unit_pass", lambda *args, **more: passed.append(args) or once(*args, **more))
    config = Visualize(run=str(cars_run.path), figures=["units"], images=20, out=str(tmp_path), layers=["block2_conv1"])
    visualize(config)
    assert len(passed) == 1
    found = drawn(tmp_path)
    layered = ("unit_statistics", "top_patches", "concepts", "ablation")
    assert set(found) == {f"{figure}-block2_conv1" for figure in layered} | {"receptive_field", "kernel_spectrum"}

    columns = zip(*cars_run.data.sample("test", 64, 20, masks=True), strict=True)
    images, labels, masks = (np.concatenate(column) for column in columns)
    maps = feature_maps(cars_run.model, images, ["block2_conv1"])["block2_conv1"]["detect"]
    table = found["unit_statistics-block2_conv1"]["table"]
    np.testing.assert_allclose(table["active"], (maps > 0).mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(table["maximum"], maps.max(axis=(0, 1, 2)), rtol=1e-5)
    best = np.sort(maps.max(axis=(1, 2)), axis=0)[::-1][:9].T
    np.testing.assert_allclose(found["top_patches-block2_conv1"]["values"], best, rtol=1e-5)
    most = cars_run.data.spread("test", 20)[maps.max(axis=(1, 2)).argmax(axis=0)]
    assert found["top_patches-block2_conv1"]["index"][:, 0].tolist() == most.tolist()
    scores = interpret.concept_scores(
        cars_run.model, [(images, labels, masks)], cars_run.data.info.parts, ["block2_conv1"], share=0.02
    )
    np.testing.assert_array_equal(found["concepts-block2_conv1"]["iou"], scores["block2_conv1"].iou)
    ablation = interpret.ablate(cars_run.model, [(images, labels)], "block2_conv1")
    np.testing.assert_allclose(
        found["ablation-block2_conv1"]["loss_change"], ablation.loss_change[ablation.ranked()], atol=1e-5
    )
    kernel = conv_layers(cars_run.model)[1].kernel
    values = np.linalg.svd(kernel.reshape(-1, 6), compute_uv=False)
    np.testing.assert_allclose(found["kernel_spectrum"]["block2_conv1"], values, rtol=1e-5)
    (box,) = found["receptive_field"]["boxes"].tolist()
    assert box == [13, 13, 21, 21]  # a convolution, a pooling by two and another convolution: 8 pixels
    effective = found["receptive_field"]["effective"][0]
    assert effective[13:21, 13:21].sum() == pytest.approx(effective.sum()) and effective.any()

    with (tmp_path / "unit_statistics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["maximum"]) for row in rows] == table["maximum"].tolist()


def test_a_class_is_explained_by_every_method_and_the_explanations_are_scored(photos_run, tmp_path, monkeypatch):
    from convlens.gallery import attribution

    monkeypatch.setattr(attribution, "UNITS_SHOWN", 2)
    config = Visualize(
        run=str(photos_run.path), figures=["attribution"], image=[0, 9], images=6, out=str(tmp_path),
        layers=["block2_conv1"],
    )  # fmt: skip
    visualize(config)
    found = drawn(tmp_path)
    assert set(found) == {
        "explanations-image0", "explanations-image1", "deletion_insertion", "randomisation",
        "activation_maximization-block2_conv1", "activation_maximization-classes",
    }  # fmt: skip

    images, labels, _ = photos_run.data.examples("test", [0, 9])
    network = interpret.Network(photos_run.model)
    logits = interpret.class_logits(network, images)
    second = found["explanations-image1"]
    assert second["targets"].tolist() == [logits[1].argmax()]
    np.testing.assert_allclose(second["logits"], logits[1:], atol=1e-5)
    for method in attribution.METHODS:
        expected = getattr(interpret, method)(network, images, logits.argmax(axis=1))[1]
        expected = expected.sum(axis=-1) if expected.ndim == 3 else expected
        np.testing.assert_allclose(second[method][0], expected, rtol=1e-3, atol=1e-5)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    whole = shares.max(axis=1)
    np.testing.assert_allclose(found["deletion_insertion"]["saliency_deletion"][:, 0], whole, rtol=1e-4)
    np.testing.assert_allclose(found["deletion_insertion"]["saliency_insertion"][:, -1], whole, rtol=1e-4)
    assert found["randomisation"]["layers"].tolist() == ["logits", "head_dense1", "block2_conv1", "block1_conv1"]

    made = found["activation_maximization-classes"]
    sample = np.concatenate([batch[0] for batch in photos_run.data.sample("test", 64, 6)])
    reached = interpret.class_logits(network, sample)
    np.testing.assert_array_equal(made["best"], sample[reached.argmax(axis=0)])
    np.testing.assert_allclose(made["best_activations"], reached.max(axis=0), atol=1e-5)
    assert (made["activations"] > made["best_activations"]).all()


def test_a_method_is_drawn_by_its_own_name_for_all_images_together(photos_run, tmp_path):
    visualize(Visualize(run=str(photos_run.path), figures=["saliency"], image=[0, 9], out=str(tmp_path)))
    images, _, _ = photos_run.data.examples("test", [0, 9])
    np.testing.assert_allclose(
        drawn(tmp_path)["saliency"]["saliency"], interpret.saliency(photos_run.model, images), rtol=1e-3, atol=1e-6
    )


def test_an_image_is_not_its_own_neighbour_and_neighbours_are_named_by_their_place_in_the_split(photos_run, tmp_path):
    config = Visualize(
        run=str(photos_run.path), figures=["networks"], image=[4], images=8, out=str(tmp_path), layers=["block2_conv1"]
    )
    visualize(config)
    found = drawn(tmp_path)
    assert set(found) == {"architecture", "neighbours-block2_conv1", "confusion_examples", "mistakes"}
    near = found["neighbours-block2_conv1"]
    assert set(near["index"][0]) <= set(range(0, 16, 2)) - {4}
    images, _, _ = photos_run.data.examples("test", near["index"][0])
    np.testing.assert_array_equal(near["neighbours"][0], images)
    assert found["architecture"]["parameters"].sum() == photos_run.model.count_params()


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def test_mistakes_and_confusions_are_those_of_the_network_and_their_images_those_of_the_split(photos_run, tmp_path):
    config = Visualize(run=str(photos_run.path), figures=["confusion_examples", "mistakes"], out=str(tmp_path))
    visualize(config)
    found = drawn(tmp_path)
    images, true, _ = photos_run.data.examples("test", list(range(16)))
    shares = softmax(photos_run.model.predict(images.astype("float32"), verbose=0))
    said, confidence = shares.argmax(axis=1), shares.max(axis=1)

    confused = found["confusion_examples"]
    for right in range(2):
        for answer in range(2):
            rows = np.flatnonzero((true == right) & (said == answer))
            assert confused["matrix"][right, answer] == len(rows)
            cell = [place for place in confused["examples"][right, answer] if place >= 0]
            best = rows[np.argsort(-confidence[rows], kind="stable")][:4]
            assert confused["index"][cell].tolist() == best.tolist()
            np.testing.assert_array_equal(confused["images"][cell], images[best])

    wrong = np.flatnonzero(said != true)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:6]
    made = found["mistakes"]
    assert made["index"].tolist() == wrong.tolist()
    np.testing.assert_allclose(
        made["said"], interpret.grad_cam(photos_run.model, images[wrong], said[wrong]), atol=1e-5
    )
    np.testing.assert_allclose(
        made["true"], interpret.grad_cam(photos_run.model, images[wrong], true[wrong]), atol=1e-5
    )


def test_the_class_to_explain_may_be_named(photos_run, tmp_path):
    asked = {"run": str(photos_run.path), "figures": ["saliency"], "image": [0], "out": str(tmp_path)}
    images, _, _ = photos_run.data.examples("test", [0])
    for target in ("night", 1):
        visualize(Visualize(**asked, target=target))
        expected = interpret.saliency(photos_run.model, images, [1])
        np.testing.assert_allclose(drawn(tmp_path)["saliency"]["saliency"], expected, rtol=1e-3, atol=1e-6)
    with pytest.raises(UserError, match="nigth.*'night'"):
        visualize(Visualize(**asked, target="nigth"))
    with pytest.raises(UserError, match="from 0 to 1"):
        visualize(Visualize(**asked, target=2))


def test_the_projector_shows_the_features_of_each_image_of_the_split(photos_run, tmp_path):
    visualize(Visualize(run=str(photos_run.path), figures=["projector"], out=str(tmp_path)))
    rows = (tmp_path / "projector/tensors.tsv").read_text().splitlines()
    vectors = np.array([row.split("\t") for row in rows], float)
    images, _, _ = photos_run.data.examples("test", list(range(16)))
    from convlens.models import feature_extractor

    expected = feature_extractor(photos_run.model, ["head_dense1"])(images)["head_dense1"]
    expected = next(iter(expected.values())) if isinstance(expected, dict) else expected
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)
    told = (tmp_path / "projector/metadata.tsv").read_text().splitlines()
    assert told[0] == "label\tindex" and told[1] == "day\t0" and told[16] == "night\t15"


def test_how_a_network_came_to_be_is_told_from_its_snapshots(photos_run, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    kernels = [{"block1_conv1": rng.normal(size=(3, 3, 3, 4))} for _ in range(3)]
    maps = [{"block1_conv1": rng.random((1, 16, 16, 4))} for _ in range(3)]
    for epoch in range(3):
        photos_run.write_snapshot(epoch, interpret.pack_snapshot(epoch, kernels[epoch], maps[epoch]))
    visualize(Visualize(run=str(photos_run.path), figures=["evolution"], out=str(tmp_path)))
    found = drawn(tmp_path)["evolution-block1_conv1"]
    assert found["epochs"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(found["kernels"], [one["block1_conv1"] for one in kernels], atol=2e-3)
    np.testing.assert_allclose(found["maps"], [one["block1_conv1"][0] for one in maps], atol=1e-3)
    with Image.open(tmp_path / "evolution-block1_conv1.gif") as animation:
        assert animation.n_frames == 3
    assert "evolution-block1_conv1.gif" in (tmp_path / "index.html").read_text()
    (photos_run.path / "snapshots/epoch-00001.npz").write_bytes(b"torn")
    with pytest.raises(UserError, match="not a snapshot"):
        visualize(Visualize(run=str(photos_run.path), figures=["evolution"], out=str(tmp_path)))


def test_a_run_without_snapshots_says_how_to_keep_them(cars_run):
    with pytest.raises(UserError, match="training.snapshots=40"):
        visualize(Visualize(run=str(cars_run.path), figures=["evolution"]))


@pytest.fixture(scope="module")
def shuffled_run(photos_run, tmp_path_factory):
    """The same network as the other run's, its units in another order."""
    import keras

    from convlens.training import Run

    model = keras.models.clone_model(photos_run.model)
    model.set_weights(photos_run.model.get_weights())
    first, second = model.get_layer("block1_conv1"), model.get_layer("block2_conv1")
    order = np.random.default_rng(1).permutation(first.filters)
    kernel, bias = first.get_weights()
    first.set_weights([kernel[..., order], bias[order]])
    kernel, bias = second.get_weights()
    second.set_weights([kernel[:, :, order], bias])
    run = Run.create(tmp_path_factory.mktemp("other"), "shuffled", photos_run.config)
    run.write_labels(photos_run.labels)
    run.save_model(model, epoch=1, val_accuracy=0.5)
    return Run.open(run.path)


def test_two_runs_are_compared_unit_by_unit_and_class_by_class(photos_run, shuffled_run, tmp_path):
    visualize(Visualize(a=str(photos_run.path), b=str(shuffled_run.path), out=str(tmp_path)))
    found = drawn(tmp_path)
    layers = ("block1_conv1", "block2_conv1")
    assert set(found) == {"layer_similarity", "class_accuracy", *(f"matched_units-{layer}" for layer in layers)}
    # The other network differs by the order of its units alone: once matched, nothing is left between them.
    for layer in layers:
        matched = found[f"matched_units-{layer}"]
        alive = np.isfinite(matched["strengths"])
        np.testing.assert_allclose(matched["strengths"][alive], 1, atol=1e-4)
    alive = np.isfinite(found["matched_units-block1_conv1"]["strengths"])
    np.testing.assert_allclose(found["matched_units-block1_conv1"]["difference"][..., alive], 0, atol=1e-6)
    np.testing.assert_allclose(np.diag(found["layer_similarity"]["similarity"]), 1, atol=1e-4)
    assert found["class_accuracy"]["both"][[0, 1], [1, 0]].tolist() == [0, 0]
    images, true, _ = photos_run.data.examples("test", list(range(16)))
    said = photos_run.model.predict(images.astype("float32"), verbose=0).argmax(axis=1)
    assert found["class_accuracy"]["both"][1, 1] == (said == true).sum()


def test_runs_that_cannot_be_compared_are_refused(photos_run, cars_run):
    with pytest.raises(UserError, match="different classes"):
        visualize(Visualize(a=str(photos_run.path), b=str(cars_run.path)))
    with pytest.raises(UserError, match="give a=.* b="):
        visualize(Visualize(run=str(photos_run.path), figures=["matched_units"]))
    with pytest.raises(ValueError, match="two runs"):
        Visualize(a=str(photos_run.path))
    with pytest.raises(ValueError, match="leave out kernel="):
        Visualize(a="a", b="b", kernel="edge")


def test_a_figure_that_a_run_cannot_give_is_left_out_of_its_group_and_refused_by_its_name(photos_run, capsys):
    config = Visualize(run=str(photos_run.path), figures=["units"])
    plans = planned(Subject(config, photos_run, GROUPS["units"]), GROUPS["units"])
    assert [plan.figure for plan in plans] == [figure for figure in GROUPS["units"] if figure != "concepts"]
    assert "No figure 'concepts': " in capsys.readouterr().out
    with pytest.raises(UserError, match="has no masks of parts"):
        visualize(Visualize(run=str(photos_run.path), figures=["units", "concepts"]))
