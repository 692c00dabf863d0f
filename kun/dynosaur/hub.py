"""Datasets of the Hugging Face hub: their card and first table are fetched into its cache, then read like a local folder."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from kun.corpus.readers import has_fields
from kun.dynosaur.sources import CARD, Found, read_folder
from kun.errors import InputError

MAX_FILES = 2
"""Tables of a dataset that are fetched: rows come from the first ones only."""


def read_hub(dataset: str, max_rows: int) -> Iterator[Found]:
    """The dataset "owner/name" or "owner/name@revision"; InputError when it cannot be fetched."""
    name, _, revision = dataset.partition("@")
    folder = fetch(name, revision or "main")
    website = f"https://huggingface.co/datasets/{name}"
    yield from read_folder(folder, name, f"hub:{dataset}", max_rows, website)


def fetch(name: str, revision: str) -> Path:
    """A folder with the card and up to MAX_FILES tables of training data; what lies in the hub's cache is not fetched again."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        files = HfApi().list_repo_files(name, repo_type="dataset", revision=revision)
        patterns = [CARD, *tables(files)]
        return Path(snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        told = " ".join(str(error).split())
        raise InputError(f"dynosaur.hub: {name} cannot be fetched ({told}); check the id and the network") from None


def tables(files: Sequence[str]) -> list[str]:
    """The first tables among a dataset's files: training data, else validation, else any that is no test data."""
    known = [file for file in sorted(files) if has_fields(Path(file)) and "test" not in file.lower()]
    for split in ("train", "valid", ""):
        if found := [file for file in known if split in file.lower()]:
            return found[:MAX_FILES]
    return []
