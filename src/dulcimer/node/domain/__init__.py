"""What is true of a node without a network, a database or a file system."""
