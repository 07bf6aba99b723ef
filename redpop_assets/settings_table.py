"""The table in `docs/settings.md`, made from the settings: `python -m redpop_assets.settings_table` writes it."""

from pathlib import Path

from pydantic.fields import FieldInfo

from redpop_assets import markdown
from redpop_assets.settings import Settings, shown, variable_of

COMMAND = "python -m redpop_assets.settings_table"
BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def render() -> str:
    """One Markdown row per setting: variable, default, meaning."""
    return markdown.table(
        ("variable", "default", "meaning"),
        [
            (f"`{variable_of(name)}`", _default(field), field.description)
            for name, field in Settings.model_fields.items()
        ],
    )


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "the source's"
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
