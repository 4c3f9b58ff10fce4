"""What a device keeps in its vault, read on the host."""
