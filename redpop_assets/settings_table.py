"""The table in `docs/settings.md`, made from the settings: `python -m redpop_assets.settings_table` writes it."""

from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from redpop_assets import markdown
from redpop_assets.settings import Settings

COMMAND = "python -m redpop_assets.settings_table"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def variable_of(name: str, field: FieldInfo) -> str:
    """The environment variable of a setting."""
    return str(field.validation_alias or f"REDPOP_{name.upper()}")


def shown(value: object) -> str:
    """A value as it would be written into the environment; secrets only as set or not."""
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def render() -> str:
    """One Markdown row per setting: variable, default, meaning."""
    return markdown.table(
        ("variable", "default", "meaning"),
        [
            (f"`{variable_of(name, field)}`", _default(field), field.description)
            for name, field in Settings.model_fields.items()
        ],
    )


def _default(field: FieldInfo) -> str:
    default = shown(field.default)
    if len(default) > 60:
        default = f"{default[:57]}…"
    return f"`{default}`" if default else ""


def update(page: str) -> str:
    """The page with its table renewed."""
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{render()}\n{END}{tail}"


if __name__ == "__main__":
    path = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
    path.write_text(update(path.read_text(encoding="utf-8")), encoding="utf-8")
