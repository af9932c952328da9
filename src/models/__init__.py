"""The words the product speaks: jobs, blueprints, floorplans. Plain data, no input or output."""
