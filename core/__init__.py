"""What every package needs and none owns: errors, whole files, progress, caches, quiet imports."""
