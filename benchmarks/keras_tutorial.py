"""A plain Keras script as the tutorials have it, for a folder of photographs, as `benchmarks.small_data` runs it.

Rescaling, three times convolution, ReLU and max pooling, a dense layer, Adam; flips, small rotations and zooms. It
trains until its time is over, and scores the network that it then has.
"""

import json
import os
import sys
import time
from typing import Any

START = time.time(), time.process_time()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
from keras import layers  # noqa: E402


def main(folder: str, side: int, seed: int, seconds: float, clock: str) -> None:
    keras.utils.set_random_seed(seed)

    def read(split: str, **options: Any) -> Any:
        return keras.utils.image_dataset_from_directory(
            f"{folder}/{split}", image_size=(side, side), batch_size=32, verbose=False, **options
        )

    train, validation = read("train", validation_split=0.2, subset="both", seed=seed)
    test = read("test", shuffle=False)
    classes = len(train.class_names)
    train, validation = train.cache().shuffle(1000).prefetch(2), validation.cache().prefetch(2)
    model = keras.Sequential(
        [
            keras.Input((side, side, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.1),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(classes),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])

    def spent() -> float:
        return time.time() - START[0] if clock == "wall" else time.process_time() - START[1]

    class UntilTheTimeIsOver(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.began = spent()

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = 2 * spent() - self.began > seconds

    history = model.fit(train, validation_data=validation, epochs=10_000, verbose=0, callbacks=[UntilTheTimeIsOver()])
    _, accuracy = model.evaluate(test, verbose=0)
    print(json.dumps({"accuracy": accuracy, "seconds": spent(), "epochs": len(history.epoch)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
