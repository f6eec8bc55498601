"""Where decoded images lie between epochs and between runs: in memory, on disk, on the accelerator."""
