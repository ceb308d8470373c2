"""The hand-over of the inference log: what a worker appends, and what its decoder reads."""
