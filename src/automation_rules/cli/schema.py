"""``automation-rules schema``: the JSON Schemas of the documents."""

from __future__ import annotations

import pkgutil

import click

from .common import OK, Output, output_options

__all__ = ["schema"]


@click.command()
@click.argument("name", type=click.Choice(["request", "decision"]), default="request")
@output_options("json")
def schema(name: str, out: Output) -> int:
    """Print the JSON Schema of a request or a decision."""
    content = pkgutil.get_data("automation_rules", f"data/{name}.schema.json")
    if content is None:
        raise FileNotFoundError(name)
    out.write(content.decode())
    return OK
