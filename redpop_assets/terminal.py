"""What a run looks like on a terminal: one short line per message of an asset, and nothing of Dagster's own."""

import logging

import dagster as dg

from redpop_assets.shown import visible


class _OneLine(logging.Formatter):
    """`12:03:41  pics  core/images  fetched 256 of 950 images`."""

    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", None) or {}
        step = (meta.get("step_key") or "").replace("__", "/")
        partition = (meta.get("run_tags") or {}).get("dagster/partition", "")
        where = "  ".join(part for part in (self.formatTime(record, "%H:%M:%S"), partition, step) if part)
        message = visible(meta.get("orig_message") or record.getMessage())
        line = f"{where}  {message}"
        return f"\033[31m{line}\033[0m" if record.levelno >= logging.ERROR else line


def _is_message(record: logging.LogRecord) -> bool:
    """What an asset says; not Dagster's events, and not that a step was left out because another failed."""
    meta = getattr(record, "dagster_meta", None) or {}
    return meta.get("dagster_event") is None and not str(meta.get("orig_message")).startswith("Dependencies for step")


@dg.logger
def terminal_logger(context: dg.InitLoggerContext) -> logging.Logger:  # noqa: ARG001
    """Logger of runs that are started from the command line."""
    logger = logging.Logger("redpop.terminal", level=logging.INFO)
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    handler.addFilter(_is_message)
    logger.addHandler(handler)
    return logger
