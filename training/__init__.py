"""The plan generator and the training of the weights; never imported by `src/`."""
