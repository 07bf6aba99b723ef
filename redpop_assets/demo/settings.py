"""The settings of a demo: those of the environment, less what makes it one. They change no variable."""

from pathlib import Path

from redpop_assets.settings import Settings, load_settings

HOME = "warehouse/demo"
CHAOS_HOME = "warehouse/demo-chaos"
SUBREDDITS = ("pics", "EarthPorn")


def demo_settings(port: int, home: str = HOME, **more: object) -> Settings:
    """The settings of the demo.

    Args:
        port: of the sandbox.
        home: directory of its own.
        more: further settings, as `load_settings` takes them.
    """
    url = f"http://127.0.0.1:{port}"
    return load_settings(
        **{
            "home": home,
            "store": "",
            "dagster_storage": "",
            "webhook_url": "",
            "budget_dir": str(Path(home).absolute() / "budget"),
            "source": "sandbox",
            "subreddits": SUBREDDITS,
            "reddit_url": url,
            "oauth_url": url,
            "image_hosts_allowed": f"127.0.0.1:{port}",
            "image_concurrency_per_host": 8,
            "image_encoder": "timm:tf_efficientnet_lite0/bundled",
            "caption_encoder": "sentence_transformers:all-MiniLM-L6-v2/bundled",
            "REDDIT_CLIENT_ID": "sandbox",
            "REDDIT_CLIENT_SECRET": "sandbox",
            "REDDIT_USER_AGENT": "linux:redpop:0.1 (by /u/sandbox)",
            **more,
        }
    )


def chaos_settings(port: int) -> Settings:
    """The settings of the demo with chaos: it waits less long than one would at Reddit, and trains few predictors."""
    return demo_settings(
        port,
        CHAOS_HOME,
        reddit_timeout_seconds=4,
        image_timeout_seconds=4,
        predictors="subreddit_median,metadata_boosting,redpop_thesis,fusion_lightgbm",
    )
