"""Work on the event loop: in turns, in micro-batches, and after the answer."""
