"""Training-serving skew: what was served, beside what the offline store says of the same moment."""
