"""Every error that RedPop raises on purpose. Each message says what to do; foreign exceptions stop at the boundary."""


class RedPopError(Exception):
    """Base of RedPop's own errors: the command line prints the message without a traceback."""


class SettingsError(RedPopError):
    """A setting is missing or contradicts another."""


class CredentialsMissing(SettingsError):
    """Reddit cannot be asked: no client id, secret or user agent."""


class CredentialsRefused(CredentialsMissing):
    """Reddit does not let the app in: the key is wrong, was revoked, or may not use the API."""


class RedditError(RedPopError):
    """Reddit refused, redirected, or answered with something that is no listing."""


class SubredditUnavailable(RedditError):
    """The community does not exist or is private, banned or quarantined: asking again does not help."""


class RedditBusy(RedditError):
    """A rate limit or a failing server: asking again later helps."""


class ArchiveError(RedPopError):
    """A file of posts cannot be read or lacks what an import needs."""


class WarehouseError(RedPopError):
    """The warehouse cannot be opened, is of another source, or has another schema."""


class NothingPublished(WarehouseError):
    """There is no published file yet."""


class OtherVersion(WarehouseError):
    """Another version of RedPop published the file: it lacks a table or a column."""


class WarehouseLocked(WarehouseError):
    """Another process kept the warehouse file beyond the deadline."""


class WeightsUnavailable(RedPopError):
    """The weights of an encoder cannot be had; the message names the setting to change."""


class NotTrainable(RedPopError):
    """A predictor cannot be trained on this data: too few matured posts, or a block it needs is missing."""


class StoreError(RedPopError):
    """The object storage that files are in cannot be reached, refuses, or answers with errors."""


class ArtifactError(RedPopError):
    """A stored image or model is missing, damaged or of another version."""


def is_interruption(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, is how DuckDB tells of Ctrl-C: it raises no KeyboardInterrupt."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt) or (type(error) is RuntimeError and str(error) == "Query interrupted"):
            return True
        error = error.__cause__ or error.__context__
    return False
