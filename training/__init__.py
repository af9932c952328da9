"""The plan generator: layouts, the hands that draw them, and what time does to the sheets. Not part of the product."""
