"""Preparing a dataset that TFDS knows by name, or the embedded one: downloaded, written, whole."""

import contextlib
import errno
import io
import shlex
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import absl.logging
import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from convlens.configs import Data
from convlens.core.errors import UserError
from convlens.core.program import word
from convlens.data.sources.tfds_features import check_features
from convlens.data.sources.tfds_finding import NamedDataset
from convlens.data.sources.tfds_shards import one_line_reason

_PROBE_SECONDS = 6

_DEAD_DOWNLOADS = {
    "cars196": "its addresses have been dead since 2023; get Stanford Cars elsewhere, sort the photos into "
    "<folder>/train/<class>/*.jpg and <folder>/test/<class>/*.jpg, and use data=folder data.root=<folder>",
}


def prepare(find: Callable[[Data], NamedDataset], config: Data, progress: bool) -> tfds.core.DatasetBuilder:
    """The builder of a dataset that is there, downloaded and prepared if need be, unless `data.prepare` is false.

    Fails within seconds where a host does not answer.
    """
    with _quiet(progress):
        try:
            dataset = find(config)
            is_prepared = dataset.is_prepared()
        except (OSError, RuntimeError) as error:  # a folder that cannot be read, or '~' of nobody
            raise UserError(
                f"data.data_dir={(config.data_dir or '')[:200]} cannot be read: {one_line_reason(error)}."
            ) from None
        if config.prepare is False and not is_prepared:
            raise UserError(_not_prepared(dataset))
        builder = dataset.open()
        if builder.is_prepared():
            return builder
        check_features(builder)  # before a download that may take hours
        manual_dir = _manual_dir(config)
        if builder.name in _DEAD_DOWNLOADS and not manual_dir:
            raise UserError(f"TFDS cannot download {builder.name}: {_DEAD_DOWNLOADS[builder.name]}.")
        settings = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
        try:
            with _impatient_downloads():
                builder.download_and_prepare(download_config=settings)
        except Exception as error:  # builders run code of their own, which may fail in any way
            # Of several processes that prepare the same dataset at once, TFDS lets one succeed.
            builder = dataset.open()
            if not builder.is_prepared():
                if _is_full_disk(error):
                    raise UserError(_disk_full(builder)) from error
                raise UserError(
                    f"{builder.info.full_name} is not in {builder.data_path.parent.parent} and cannot be prepared: "
                    f"{one_line_reason(error)}. {_remedy(builder)}"
                ) from error
        return builder


@contextmanager
def _quiet(progress: bool) -> Iterator[None]:
    """TFDS' bars where progress is shown, and none of the lines that it logs and prints around them."""
    (tfds.enable_progress_bar if progress else tfds.disable_progress_bar)()
    with no_warnings(), contextlib.redirect_stdout(io.StringIO()):
        yield


@contextmanager
def no_warnings() -> Iterator[None]:
    verbosity = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        yield
    finally:
        absl.logging.set_verbosity(verbosity)


@contextmanager
def _impatient_downloads() -> Iterator[None]:
    """Give a host a few seconds to answer before TFDS asks it: TFDS alone retries for over three minutes.

    Files that TFDS finds in its own cache or in the manual folder are used without asking any host.
    """
    open_url = downloader._open_url

    def open_reachable_url(url: str, **options: Any) -> Any:
        host = urlsplit(url).hostname
        if url.startswith("http") and not _is_reachable(url):
            raise ConnectionError(f"{host} does not answer")
        return open_url(url, **options)

    downloader._open_url = open_reachable_url
    try:
        yield
    finally:
        downloader._open_url = open_url


def _is_reachable(url: str) -> bool:
    answered = threading.Event()

    def ask() -> None:
        with contextlib.suppress(requests.RequestException, OSError):
            requests.get(url, stream=True, timeout=_PROBE_SECONDS).close()
            answered.set()

    # Looking up a name has no time limit of its own, so the whole question is asked in a thread that may be left.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PROBE_SECONDS)
    return answered.is_set()


def _is_full_disk(error: Exception) -> bool:
    message = str(error)
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(
        words in message for words in ("No space left on device", "Not enough disk space", "Disk quota exceeded")
    )


def _disk_full(builder: tfds.core.DatasetBuilder) -> str:
    folder = next(path for path in Path(builder.data_path).parents if path.exists())
    free = shutil.disk_usage(folder).free / 1e6
    return (
        f"The disk is full: {builder.info.full_name} could not be prepared in {builder.data_path}, {free:,.1f} MB are "
        "free. Free some space, or give another data.data_dir."
    )


def _not_prepared(dataset: NamedDataset) -> str:
    where = word("data.data_dir", dataset.data_dir)
    return (
        f"{dataset.name} is not prepared in {dataset.data_dir}, and opening a run never prepares a dataset. Add "
        f"{where} data.prepare=true to download or render it there, or give the folder that holds it as "
        "data.data_dir."
    )


def _remedy(builder: tfds.core.DatasetBuilder) -> str:
    if builder.name in _DEAD_DOWNLOADS:
        return f"TFDS cannot download it: {_DEAD_DOWNLOADS[builder.name]}."
    # Not `tfds build`, for which TFDS needs Apache Beam.
    name = builder.info.full_name.rpartition("/")[0]
    program = f"import tensorflow_datasets as tfds; tfds.builder({name!r}).download_and_prepare()"
    manual = ", put its files into a folder and give data.manual_dir" if builder.url_infos else ""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        manual = f", give the files as data.manual_dir ({instructions})"
    return (
        f"Prepare it on a machine with a network ({shlex.join(('python', '-c', program))}) and give the new folder, "
        f"tensorflow_datasets in your home folder, as data.data_dir{manual}, or use data=folder "
        "data.root=<folder of photos>."
    )


def _manual_dir(config: Data) -> Path | None:
    if config.manual_dir is None:
        return None
    manual_dir = Path(config.manual_dir).expanduser()
    if not manual_dir.is_dir():
        raise UserError(f"data.manual_dir={manual_dir} is not a folder; give the one with the downloaded files.")
    return manual_dir
