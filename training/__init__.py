"""Point-in-time data set -> model -> evidence -> registry -> bundle."""
