"""What the tests of model files share."""

import pytest


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    """The file of a small model of ours, with every part that the hostile files change."""
    from convlens.configs import Model
    from convlens.models import build_model

    config = Model(filters=[4], head={"dense": [4], "dropout": 0.1})
    path = tmp_path_factory.mktemp("good") / "good.keras"
    build_model(config, (16, 16), 3, 3, seed=0).save(path)
    return path
