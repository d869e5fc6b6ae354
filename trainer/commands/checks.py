"""What several commands refuse."""

from shards.errors import UserError, in_command

COPY_TOOLS = {"s3": "aws s3 cp --recursive", "gs": "gcloud storage cp -r", "hdfs": "hdfs dfs -get"}


def required(name: str, value: object, hint: str) -> None:
    """Raise `UserError` when an option that a command needs is not given."""
    if not value:
        raise UserError(f"{name}: missing", hint)


def refuse_remote(directory: str) -> None:
    """Raise `UserError` for shards in an object store, with the command that copies them."""
    if "://" not in directory or directory.startswith("file://"):
        return

    tool = COPY_TOOLS.get(directory.split("://")[0], "copy")
    raise UserError(
        f"--shards {directory}: shards are memory-mapped and must be on this machine",
        f"copy them first: {tool} {in_command(directory)} shards/",
    )
