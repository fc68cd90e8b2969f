"""`tito completion`: let the shell complete commands, lessons and milestones."""

from __future__ import annotations

import os
from pathlib import PurePath

import click
from click.shell_completion import get_completion_class

from tito.commands import Command
from tito.core.errors import UsageProblem

INSTALL = {
    "bash": ('eval "$(tito completion bash)"', "~/.bashrc"),
    "zsh": ('eval "$(tito completion zsh)"', "~/.zshrc"),
    "fish": ("tito completion fish | source", "~/.config/fish/config.fish"),
}


@click.command(cls=Command, examples=[
    ("tito completion", "what to put where, for your shell"),
    ('eval "$(tito completion bash)"', "complete in this bash from now on"),
])
@click.argument("shell", type=click.Choice(tuple(INSTALL)), required=False)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Let your SHELL complete commands, lessons and milestones."""
    if shell is None: return instructions(PurePath(os.environ.get("SHELL", "")).name)
    complete = get_completion_class(shell)
    assert complete, f"click completes in {shell}"
    return print(complete(ctx.find_root().command, {}, "tito", "_TITO_COMPLETE").source())


def instructions(shell: str) -> None:
    if shell not in INSTALL:
        raise UsageProblem(f"Which shell is it? One of {', '.join(INSTALL)}.", "tito completion bash")
    wanted, file = INSTALL[shell]
    print(f"Put this line into {file}:\n\n  {wanted}")
