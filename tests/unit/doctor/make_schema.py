"""The JSON Schema of the doctor's report, from its types. `python tests/unit/doctor/make_schema.py` writes it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import sandboxd.doctor
from sandboxd.doctor import Report

PLACE = Path(sandboxd.doctor.__file__).with_name("report.schema.json")


def schema() -> str:
    """Return the schema, complete: the command always prints every field."""
    made = TypeAdapter(Report).json_schema(mode="serialization")
    for part in [made, *made["$defs"].values()]:
        if part.get("type") == "object":
            part["required"] = list(part["properties"])
    top: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "sandboxd doctor",
    }
    top["properties"]["schema"] = {"const": sandboxd.doctor.SCHEMA}
    return json.dumps(top, indent=2) + "\n"


if __name__ == "__main__":
    PLACE.write_text(schema())
