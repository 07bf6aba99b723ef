"""Trying a cluster before anything depends on it: whether each machine runs our code and sees the store."""

from redpop_assets.cluster.session import Session
from redpop_assets.errors import RedPopError
from redpop_assets.storage.files import Files
from redpop_assets.storage.shards import Shards


def try_out(session: Session, place: Files) -> str:
    """Ask each machine of the cluster, and say what there is, as a sentence.

    Args:
        session: the cluster.
        place: files of the deployment, such as those of the pictures.

    Raises:
        RedPopError: a machine lacks redpop, or does not see the store; the message names it.
    """
    room = session.room()
    shards = Shards(place)
    shards.open()
    try:
        blind = [machine for machine, sees in session.each_machine(_sees, shards) if not sees]
    finally:
        shards.close()
    if blind:
        raise RedPopError(
            f"{', '.join(blind)} of the Ray cluster does not see {shards.where}: set REDPOP_STORE to a folder that all "
            "machines share, or to object storage such as s3://bucket/redpop"
        )
    return (
        f"Ray {session.where}: {room.machines} machine{'s' * (room.machines > 1)}, {room.cpus} processors, "
        f"{room.gpus} GPUs, each sees {shards.where}"
    )


def _sees(shards: Shards) -> bool:
    return shards.is_open
