"""What the dataset says about itself."""

DESCRIPTION = """\
Vehicles of eight body styles (sedan, hatchback, wagon, SUV, pickup, van, bus, box truck), rendered on the user's own
machine by a small rasterizer in NumPy: low-poly models under a random sun, on a road, before buildings and trees,
sometimes behind a post, a sign or a bush, with the noise and blur of a camera. Nothing is downloaded. Version, split
and index of an image decide its pixels, on every machine.

Each image comes with `parts`, a mask that says which pixels are background, ground, shadow, body, window, wheel, lamp
or occluder, and with `factors`, what was drawn at random: azimuth (degrees from the vehicle's nose to the camera,
towards its left), elevation (degrees), distance (metres), focal_length (picture widths), sun_azimuth and
sun_elevation (degrees, as the camera's), sky, road, verge, paint and second_paint (RGB), occluded (share of the vehicle
that something hides) and cropped (share of its bounding box outside the picture).

8,000 training, 1,000 validation and 2,000 test images, the labels in equal parts. Configurations: `64` and `128`
(pixels; the same scenes, labelled by style) and `car_or_truck` (64 pixels; sedan, hatchback, wagon and SUV against
pickup, van and box truck, without buses).

How hard it is, measured on the test split of `64`: a linear classifier on standardized pixels (softmax regression,
Adam, 15 epochs, the best of four L2 penalties from 0 to 0.3) reaches 46.5% accuracy; a convolutional network of three
convolutions (`python train.py experiment=cars`, ten epochs) 98.5%.
"""
