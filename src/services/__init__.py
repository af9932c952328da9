"""What the product does, independent of how it is asked and of where things are kept."""
