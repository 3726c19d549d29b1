"""What the domain's ports are made of: files, SQLite, DIMSE, logs."""
