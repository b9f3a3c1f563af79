"""The stacks, a module each. network, cluster and database are for an account that has none; the others fit any."""
