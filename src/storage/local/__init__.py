"""The embedded world: SQLite and files under one folder, for several processes and threads at once."""
