"""`brokenreg migrate`: copies a data folder into a database and an object store."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from brokenreg.cli.commands import HelpfulCommand
from brokenreg.cli.exit_status import UNEXPECTED, CouldNotRunError
from brokenreg.cli.options import FILE
from brokenreg.quick_imports import quick_imports
from brokenreg.wording import counted, printable, quoted

if TYPE_CHECKING:
    from brokenreg.config.blob_location import BlobLocation
    from brokenreg.storage.imports.folder_import import FolderImport
    from brokenreg.storage.imports.progress import ContentCounts, Progress

_EPILOG = """
\b
Examples:
  brokenreg migrate --from data --to-database postgresql://brokenreg@db.example/brokenreg
                                        copy the index; the blobs stay in the folder
  brokenreg migrate --from data --to-database-file url.txt --to-blobs s3://registry/blobs
                                        copy the index and the blobs
  brokenreg migrate --from data --to-database-file url.txt --dry-run
\b
Then start brokenreg with the copy:
  brokenreg serve --database-file url.txt --blobs s3://registry/blobs --data new
"""

_DRAWN, _PRINTED = 0.2, 10.0
"""Seconds between two lines of progress: on a terminal, where each replaces the one before, and in a log."""


@click.command(cls=HelpfulCommand, epilog=_EPILOG)
@click.option(
    "--from",
    "source",
    metavar="DIR",
    envvar="BROKENREG_DATA",
    show_envvar=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Data folder to copy. It stays as it is. Stop the brokenreg that uses it.",
)
@click.option(
    "--to-database",
    "database",
    metavar="URL",
    envvar="BROKENREG_DATABASE",
    show_envvar=True,
    help="Empty database for the index: postgresql://NAME@HOST/DATABASE.",
)
@click.option(
    "--to-database-file",
    "database_file",
    metavar="FILE",
    envvar="BROKENREG_DATABASE_FILE",
    show_envvar=True,
    type=FILE,
    help="File with the URL of the database, if that contains a password.",
)
@click.option(
    "--to-blobs",
    "blobs",
    metavar="URL",
    default="file:",
    show_default=True,
    envvar="BROKENREG_BLOBS",
    show_envvar=True,
    help="Empty place for the blobs: s3://BUCKET[/PREFIX], gs://BUCKET[/PREFIX] or az://CONTAINER[/PREFIX]. "
    "With file:, they stay where they are.",
)
@click.option("--dry-run", "is_dry", is_flag=True, help="Only print what would be copied.")
def migrate(
    source: Path | None, database: str | None, database_file: Path | None, blobs: str, is_dry: bool
) -> None:
    """Copy a data folder into a PostgreSQL database and an object store, which several brokenregs can share.

    If this is interrupted, run the same command again. It continues with what is missing. Upload sessions are
    not copied.
    """
    if source is None:
        raise click.UsageError("--from is missing: add --from DIR, with the data folder to copy")
    with quick_imports():
        from brokenreg.storage.imports.folder_import import FolderImport
        from brokenreg.storage.imports.progress import Progress

    work = FolderImport(source, _database(database, database_file), _location(blobs))
    progress = Progress()
    try:
        content = _run(work, progress, is_dry=is_dry)
    except KeyboardInterrupt:
        click.echo("Aborted! To continue, run the same command again", err=True)
        sys.exit(UNEXPECTED)
    if is_dry:
        click.echo(f"Would copy {content.line()}")
    elif content.was_finished:
        click.echo("Nothing was copied: this data folder was copied to this database before")
    else:
        _report(work, content)
    if content.problems:
        sys.exit(UNEXPECTED)


def _database(url: str | None, file: Path | None) -> str:
    """Return the URL of the database. Raise `click.UsageError`."""
    from brokenreg.assembly.process_arguments import hide_arguments
    from brokenreg.config.databases import SQLITE, LoginError, database_url, passwords_in, read_database_url
    from brokenreg.redaction import redact_text

    if url is not None and file is not None:
        raise click.UsageError("--to-database excludes --to-database-file: remove either")
    if url is None and file is None:
        raise click.UsageError(
            "a database is missing: add --to-database postgresql://NAME@HOST/DATABASE; to add only an object "
            'store to a data folder, run "brokenreg serve --blobs URL"'
        )
    try:
        found = database_url(str(url)) if file is None else read_database_url(file, "--to-database-file")
    except OSError as error:
        raise CouldNotRunError(f"--to-database-file {file}: {error.strerror}") from None
    except LoginError as error:
        raise click.UsageError(f"--to-database: {error}" if file is None else str(error)) from None
    except ValueError:
        found = SQLITE
    if found == SQLITE:
        option, value = ("--to-database", url) if file is None else ("--to-database-file", file)
        raise click.UsageError(
            f"{option}: invalid database {quoted(redact_text(str(value)))}: "
            "use postgresql://NAME@HOST/DATABASE"
        )
    hide_arguments(passwords_in(found))
    return found


def _location(blobs: str) -> BlobLocation:
    """Return the place of the blobs. Raise `click.UsageError`."""
    from brokenreg.config.blob_location import BlobLocation

    try:
        return BlobLocation.parse(blobs)
    except ValueError as error:
        raise click.UsageError(f"--to-blobs: {error}") from None


def _run(work: FolderImport, progress: Progress, *, is_dry: bool) -> ContentCounts:
    """Copy, and show the progress. Raise `CouldNotRunError`."""
    from brokenreg.concurrency import background
    from brokenreg.storage.errors import FolderLockedError, StorageError

    async def run() -> ContentCounts:
        async with background(_show(progress)):
            return await work.run(progress, is_dry=is_dry)

    try:
        return asyncio.run(run())
    except FolderLockedError:
        problem = f"a brokenreg is using {work.root}: stop it first"
    except StorageError as error:
        problem = f"{error}"
    except OSError as error:
        problem = f"{error.filename or work.root}: {error.strerror or error}"
    finally:
        _draw("")
    raise CouldNotRunError(problem) from None


async def _show(progress: Progress) -> None:
    """Print the progress of whatever takes more than a moment, until cancelled."""
    interval = _DRAWN if sys.stderr.isatty() else _PRINTED
    while True:
        await asyncio.sleep(interval)
        if sys.stderr.isatty():
            _draw(progress.line())
        else:
            click.echo(progress.line(), err=True)


def _draw(line: str) -> None:
    """Replace the last line on a terminal."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{line}", err=True, nl=False)


def _report(work: FolderImport, content: ContentCounts) -> None:
    from brokenreg.oci.sizes import format_size
    from brokenreg.redaction import redact_text

    click.echo(f"Copied to {redact_text(work.database)}: {content.line()}")
    if not work.location.is_folder:
        click.echo(
            f"Sent to {work.location}: {counted(content.sent, 'blob')} ({format_size(content.sent_size)})"
        )
    if content.uploads:
        click.echo(f"Not copied: {counted(content.uploads, 'upload session')}. Clients begin these again")
    if content.missing:
        click.echo(f"Missing in the data folder: {counted(content.missing, 'blob')}")
    for problem in content.problems:
        click.echo(printable(f"Error: {problem}"), err=True)
    click.echo(f"Verified: {'everything else' if content.problems else 'the copy'} is complete")
