"""Where jobs, files, messages and previews are kept; `open_storage` chooses the world."""
