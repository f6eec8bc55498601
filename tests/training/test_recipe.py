"""What is chosen for a folder of photographs, and that whoever writes a value gets it."""

import numpy as np
import pytest
import yaml

from convlens.configs import Train
from convlens.configs.composition import compose
from convlens.configs.saved import read_config
from convlens.core.errors import UserError
from convlens.models import check_model
from convlens.training import recipe
from convlens.training.recipe import explain, momentum, open_keys, photographs, settle, usual_side


def asked(*words):
    return compose("train", Train, ["experiment=folder", "data.root=photos", *words])


def settled(*words, images=1000, side=32):
    return settle(asked(*words), images, (side, side))


def lines(*words, sizes, side, device="cpu"):
    config = asked(*words)
    return explain(config, settle(config, 100, (side, side)), 100, np.array(sizes), device)


@pytest.mark.parametrize("side", [4, 8, 15, 16, 28, 32, 47, 48, 64, 96, 128, 160, 224])
@pytest.mark.parametrize("images", [4, 40, 1000, 50_000, 1_000_000])
def test_whatever_the_number_and_size_of_photographs_the_network_fits_and_learns_for_a_while(images, side):
    config = settled(images=images, side=side)
    blocks = check_model(config.model, (side, side), 3, classes=2)
    assert min(blocks[-1].output[:2]) >= 1 and max(blocks[-1].convolved[:2]) <= 16
    assert 10 <= config.training.epochs <= 120
    assert open_keys(read_config(yaml.safe_dump(config.document()), Train)) == set()


def test_fewer_photographs_are_looked_at_more_often_but_take_less_in_all():
    epochs = [photographs(images, 32)["training.epochs"] for images in (40, 400, 4000, 40_000)]
    assert epochs == sorted(epochs, reverse=True) and epochs[0] > epochs[-1]
    looks = [images * count for images, count in zip((40, 400, 4000, 40_000), epochs, strict=True)]
    assert looks == sorted(looks)


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (["training.epochs=7"], "training.epochs", 7),
        (["training.batch_size=9"], "training.batch_size", 9),
        (["training.optimizer.learning_rate=0.5"], "training.optimizer.learning_rate", 0.5),
        (["data.augment.flip=false"], "data.augment.flip", False),
        (["data.augment={crop: 1}"], "data.augment.crop", 1),
        (["training.keep=best"], "training.keep", "best"),
        (["model.filters=[8,8]"], "model.filters", [8, 8]),
        (["model.dropout=0.3"], "model.dropout", [0.3] * 4),
        (["model=resnet"], "model.family", "resnet"),
        (["model.batch_norm_momentum=0.5"], "model.batch_norm_momentum", 0.5),
        (["data.image_size=[20,30]"], "data.image_size", [20, 30]),
        (["debug=fast"], "training.epochs", 2),
        (["debug=overfit"], "training.optimizer.weight_decay", 0.0),
        (["recipe=null"], "training.epochs", 10),
    ],
)
def test_what_a_person_writes_stays(words, key, value):
    settled_value = settled(*words).document()
    for name in key.split("."):
        settled_value = settled_value[name]
    assert settled_value == value


def test_whoever_takes_another_optimizer_or_network_gets_it_as_it_is():
    assert settled("training.optimizer.name=adamw").training.optimizer == Train().training.optimizer
    assert settled("model=resnet").model.filters == [32, 64, 128]
    tuned = settled("training.optimizer.learning_rate=0.5", "training.optimizer.options.adam_lr_ratio=0.3")
    assert tuned.training.optimizer.name == "muon"
    assert tuned.training.optimizer.options == {"adam_lr_ratio": 0.3}


def test_what_stands_in_an_experiment_of_ones_own_stays(tmp_path):
    mine = tmp_path / "mine.yaml"
    defaults = "defaults:\n  - override /data: folder\n  - override /model: resnet\n"
    mine.write_text(f"# @package _global_\n{defaults}recipe: photographs\ntraining: {{epochs: 10}}\n")
    config = settle(compose("train", Train, [f"experiment={mine}", "data.root=photos"]), 40, (32, 32))
    assert (config.training.epochs, config.training.batch_size) == (10, photographs(40, 32)["training.batch_size"])
    assert config.model.family == "resnet" and config.model.filters == [32, 64, 128]


def test_what_python_gives_stays():
    config = Train(recipe="photographs", training={"epochs": 10}, model={"batch_norm": True, "filters": [4]})
    chosen = settle(config, 40, (32, 32))
    assert (chosen.training.epochs, chosen.model.filters) == (10, [4])
    assert chosen.training.batch_size == photographs(40, 32)["training.batch_size"]


def test_a_batch_divides_among_devices():
    assert settle(asked(), 40, (32, 32), devices=3).training.batch_size % 3 == 0


def test_what_does_not_go_together_is_refused_in_a_line():
    with pytest.raises(UserError, match="dropout has 3 values but model.filters makes 4 blocks"):
        settled("model.dropout=[0.1,0.2,0.3]")


def test_the_side_is_one_that_half_of_the_photographs_have():
    assert usual_side([(50, 60)] * 3 + [(500, 600)] * 2, "cpu") == 48
    assert usual_side([(3000, 4000)] * 5, "cpu") == 128
    assert usual_side([(3000, 4000)] * 5, "gpu") == 224
    assert usual_side([(20, 30)] * 5, "cpu") == 20


def test_a_line_says_at_which_size_photographs_are_used_and_what_another_one_costs():
    line, chosen, more = lines(sizes=[(3000, 4000)] * 5, side=128)
    assert "128 x 128: half of them have 3000 pixels or more" in line
    assert "96 would take about" in line and "160 would take about" in line
    assert "100 photographs" in chosen and "training.epochs=" in more
    assert lines(sizes=[(32, 32)] * 5, side=32)[0].endswith("32 x 32: their own size.")


# A row: what stands in the lines where it was chosen, and the words after which it was not.
CHOSEN = [
    ("120 epochs (the fewer photographs, the more)", ["training.epochs=7"]),
    ("batches of 16", ["training.batch_size=9"]),
    ("muon with a rate of 0.01", ["training.optimizer.name=adamw"]),
    ("a rate that ends at zero", ["training.schedule.name=constant"]),
    ("blocks of 32, 64, 128, 256 kernels", ["model.filters=[8,8]"]),
    ("mirrored", ["data.augment.flip=true"]),
    ("shifted by up to 4 pixels", ["data.augment.crop=2"]),
    ("the last epoch's model is kept", ["training.keep=best"]),
]


@pytest.mark.parametrize(("message", "words"), CHOSEN)
def test_lines_say_all_that_was_chosen_and_nothing_that_was_typed(message, words):
    both = lines(sizes=[(32, 32)] * 5, side=32)[1:]
    assert len(both) == 2 and message in " ".join(both)
    assert message not in " ".join(lines(*words, sizes=[(32, 32)] * 5, side=32)[1:])


def test_where_all_was_typed_nothing_is_said_to_be_chosen():
    words = ["training.epochs=7", "training.batch_size=9", "training.optimizer.name=adamw", "model=resnet"]
    words += ["data.augment={flip: true, crop: 2}", "training.keep=best", "training.schedule.name=constant"]
    assert not any("chosen" in line.lower() for line in lines(*words, sizes=[(32, 32)], side=32))


def test_a_line_says_how_many_photographs_are_enlarged():
    enlarged = lines("data.image_size=128", sizes=[(32, 32)] * 4 + [(400, 400)], side=128)[0]
    assert enlarged.startswith("4 of 5 photographs are smaller than 128 x 128 and are enlarged")
    assert "data.image_size=32" in enlarged
    assert not any("enlarged" in line for line in lines(sizes=[(400, 400)], side=128))


@pytest.mark.parametrize("steps", [1, 3, 17, 300, 5000])
@pytest.mark.parametrize("epochs", [1, 2, 10, 100])
def test_nothing_of_batch_norms_start_is_left_when_a_quarter_of_the_training_is_over(steps, epochs):
    assert momentum(steps, epochs) ** (steps * epochs) <= 0.06
    assert momentum(steps, epochs) <= 0.991
    if steps * epochs > 1200:  # Keras' own at most, and it is a mean over many steps
        assert momentum(steps, epochs) >= 0.85


def test_every_training_with_batch_norm_gets_its_momentum_and_an_older_run_keeps_its_own():
    words = ["data=folder", "data.root=photos", "model=vgg", "training.epochs=4"]
    config = settle(compose("train", Train, words), 1000, (32, 32))
    assert config.model.batch_norm_momentum == momentum(1000 // 64, 4)
    assert settle(compose("train", Train, [*words, "model=lesson"]), 1000, (32, 32)).model.batch_norm_momentum is None
    assert recipe.MOMENTUM in open_keys(Train(model={"batch_norm": True}))
