"""The queue's face: turns messages into finished jobs."""
