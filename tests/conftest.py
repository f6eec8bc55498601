"""What more than one room's tests need."""

import pytest


@pytest.fixture(scope="session")
def cars_dir(tmp_path_factory):
    """Where a few images of the embedded dataset are prepared under its published name."""
    from data.rendered_cars import RenderedCars

    folder = tmp_path_factory.mktemp("cars")
    with pytest.MonkeyPatch.context() as patch:
        for split, images in (("train", 8), ("validation", 8), ("test", 24)):
            patch.setattr(RenderedCars.builder_configs["64"], split, images)
        RenderedCars(config="64", data_dir=folder).download_and_prepare()
    return folder
