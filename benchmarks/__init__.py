"""Every figure that the README quotes, with the peer measured in the same run."""
