"""What runs on one machine: serve, up, down, status, env."""
