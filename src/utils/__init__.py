"""Plumbing that knows nothing of plans or jobs: configuration, secrets, logs, errors, retry."""
