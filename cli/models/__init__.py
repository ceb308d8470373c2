"""Models and their versions: train, pull, promote, retire, compare."""
