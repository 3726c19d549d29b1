"""The contestants that are written in Python, each started as a process of its own."""
