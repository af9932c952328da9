"""The HTTP face: the API, and the page that uses it."""

import gc
import os

import pydantic

# A hundred thousand objects come to be while all of this loads, and nothing of it is garbage. Looking for some after
# every few hundred of them was a tenth of a function's cold start.
gc.set_threshold(200_000, 50, 50)
# Nor are there plugins of pydantic here, for which it would read what is told of every installed package.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
# FastAPI's models of an API's description wait until one is asked for: to build them was another tenth.
pydantic.BaseModel.model_config["defer_build"] = True
import fastapi.openapi.models  # noqa: E402, F401 -- within these lines, and no model of ours

del pydantic.BaseModel.model_config["defer_build"]
