"""Where images come from: a folder, a TFDS dataset, the embedded one."""
