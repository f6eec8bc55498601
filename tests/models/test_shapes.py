"""What the arithmetic says of a network is what Keras builds, and what cannot be built is refused in one line."""

import subprocess
import sys

import pytest

from convlens.configs import Model
from convlens.core.errors import ModelError
from convlens.models import check_model


def refusal(image_size=(64, 64), **settings):
    with pytest.raises(ModelError) as error:
        check_model(Model(**settings), image_size, 3, 8)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("family", ["convnet", "resnet"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("head", [{"pooling": "flatten", "dense": [10]}, {"pooling": "average"}])
def test_shapes_and_parameters_are_those_of_the_built_network(family, batch_norm, head, whiten):
    from convlens.models import build_model

    config = Model(
        family=family,
        filters=[4, 6, 8],
        kernel_size=[5, 3, 3],
        convolutions=[1, 2, 1],
        stride=[2, 1, 1],
        padding=["same"] if family == "resnet" else ["same", "valid", "same"],
        dilation=[1, 1, 2],
        pooling=["none", "max", "average"],
        pool_size=[2, 3, 2],
        batch_norm=batch_norm,
        head=head,
        whiten=whiten,
    )
    blocks = check_model(config, (37, 50), 3, 5)
    model = build_model(config, (37, 50), 3, 5, seed=0)
    first, second = (
        ("block1_unit1_relu2", "block2_unit2_relu2") if family == "resnet" else ("block1_conv1", "block2_conv2")
    )
    assert model.get_layer(first).output.shape[1:] == blocks[0].convolved == blocks[0].output
    assert model.get_layer(second).output.shape[1:] == blocks[1].convolved
    assert model.get_layer("block2_pool").output.shape[1:] == blocks[1].output == blocks[2].input
    assert model.get_layer("block3_pool").output.shape[1:] == blocks[2].output

    def parameters(prefix):
        return sum(layer.count_params() for layer in model.layers if layer.name.startswith(prefix))

    assert [block.parameters for block in blocks] == [parameters(block.name) for block in blocks]


def test_pooling_below_one_pixel_names_the_block_and_the_sizes():
    message = refusal((16, 24), filters=[4] * 6)
    assert message.startswith("block5: max pooling of 2x2") and "1x1" in message and "16x24x3" in message


def test_a_valid_kernel_larger_than_its_maps_is_refused():
    message = refusal((8, 8), filters=[4, 4], padding="valid", kernel_size=[3, 5])
    assert message.startswith("block2: a kernel of 5x5") and "3x3" in message and "padding=same" in message


def test_a_dilated_kernel_that_sees_only_padding_is_refused():
    message = refusal((16, 16), filters=[4, 4, 4], dilation=[1, 1, 4])
    assert message.startswith("block3") and "dilated by 4 (extent 9)" in message and "4x4" in message


def test_a_dilated_valid_kernel_counts_its_holes():
    assert "extent 9" in refusal((8, 8), filters=[4], dilation=[4], padding="valid")


def test_a_residual_unit_needs_maps_that_can_be_added():
    assert refusal(family="resnet", filters=[4, 4], padding=["same", "valid"]).startswith("block2")


@pytest.mark.parametrize("settings", [{"filters": [32, 10**9]}, {"head": {"dense": [10**6]}}])
def test_an_absurd_number_of_parameters_is_refused_before_building(settings):
    assert "parameters" in refusal(**settings)


def test_an_unknown_initializer_is_answered_with_the_nearest():
    assert "Did you mean 'he_normal'?" in refusal(initializer="he_nornal")


def test_every_initializer_that_is_offered_exists_and_takes_a_seed():
    from keras import initializers

    from convlens.models.shapes import INITIALIZERS

    for name in INITIALIZERS:
        kind = type(initializers.get(name))
        assert (kind(seed=3)((3, 3, 2, 4)) == kind(seed=3)((3, 3, 2, 4))).numpy().all()


def test_checking_a_network_imports_neither_keras_nor_a_backend():
    code = (
        "import sys\nfrom convlens.configs import Model\nfrom convlens.core.errors import ModelError\n"
        "from convlens.models import check_model\n"
        "check_model(Model(), (64, 64), 3, 8)\nassert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
