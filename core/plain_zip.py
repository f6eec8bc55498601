"""A zip archive whose directory is checked before its members are read, and whose members are read only within it."""

import encodings.cp437  # noqa: F401  of old names: zipfile would import it while a file is read
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from convlens.core.errors import UserError, one_line

START = b"PK\x03\x04"
_ENTRY, _END, _LOCATOR = b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES = 22, 20
_LEAST, _MOST = 30, 2048  # bytes of what stands before a member, or in the directory for it; names take most of them
_CHUNK = 2**20


class PlainZip:
    """An open archive of at most `most` members: whole, without a password, without zip64, nothing beside its members.

    Args:
        file: the archive; `size` is that of the file in bytes.

    Raises:
        UserError: with a reason that begins with a verb, here and where a member is read.
    """

    def __init__(self, file: BinaryIO, size: int, most: int):
        _check_end(file, size, most)
        try:
            self._zip = zipfile.ZipFile(file)
            members = self._zip.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise UserError(f"is damaged: its zip directory cannot be read ({_printable(error)})") from None
        self.members = {member.filename: member for member in members}
        if len(self.members) < len(members):
            names = [member.filename for member in members]
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"holds {_printable(twice)} {names.count(twice)} times")
        for member in members:
            _check_member(member)
        _check_offsets(members, self._zip.start_dir)

    def chunks(self, name: str) -> Iterator[bytes]:
        """A member's content, a megabyte at a time; its CRC is checked at the end."""
        member, length = self.members[name], 0
        try:
            with self._zip.open(member) as file:
                while chunk := file.read(_CHUNK):
                    length += len(chunk)
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise UserError(f"is damaged: {_printable(name)} cannot be read ({_printable(error)})") from None
        if length != member.file_size:
            raise UserError(
                f"is damaged: {_printable(name)} has {length:,} bytes, its directory says {member.file_size:,}"
            )


def _check_end(file: BinaryIO, size: int, most: int) -> None:
    """Reads the record at the end, by which the directory is found, and refuses all other ways of finding one."""
    file.seek(max(0, size - _END_BYTES - _LOCATOR_BYTES))
    end = file.read(_END_BYTES + _LOCATOR_BYTES)
    record = end[-_END_BYTES:]
    if size < 2 * _END_BYTES or not record.startswith(_END) or record[20:] != b"\0\0":
        raise UserError("is truncated or has something after its end: the zip directory is not the last thing in it")
    # Python would follow it to a directory of any size.
    if end.startswith(_LOCATOR) or b"\xff\xff\xff\xff" in record[12:20]:
        raise UserError("has a zip64 directory, for archives of more than 4 GB, which is not read")
    count, directory = int.from_bytes(record[10:12], "little"), int.from_bytes(record[12:16], "little")
    if count > most:
        raise UserError(f"has a zip directory of {count:,} members; at most {most:,} are read")
    if directory > min(_MOST * count, size - _END_BYTES):
        raise UserError(f"is damaged: its zip directory cannot be read ({directory:,} bytes for {count:,} members)")
    # Python reads as many as there are, whatever their number is said to be.
    file.seek(size - _END_BYTES - directory)
    if file.read(directory).count(_ENTRY) != count:
        raise UserError(f"is damaged: its zip directory cannot be read (it does not list {count:,} members)")


def _check_member(member: zipfile.ZipInfo) -> None:
    name = _printable(member.filename)
    if member.flag_bits & 0b1000001:
        raise UserError(f"is encrypted: {name} has a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UserError(f"is compressed in a way that is not read: {name} by method {member.compress_type}")


def _check_offsets(members: list[zipfile.ZipInfo], end: int) -> None:
    """Refuses members that overlap, which would be counted twice, and bytes between members, which belong to none."""
    members = sorted(members, key=lambda member: member.header_offset)
    starts = [member.header_offset for member in members]
    ends = [member.header_offset + member.compress_size for member in members]
    for member, last, start in zip(members, ends, [*starts[1:], end], strict=True):
        if not _LEAST <= start - last <= _MOST:
            raise UserError(
                f"is damaged: members overlap, or something lies between them, at {_printable(member.filename)}"
            )
    if starts[:1] != [0]:
        raise UserError("is damaged: its first member does not lie at its beginning")


def _printable(text: object) -> str:
    return one_line(str(text))[:80].encode("utf-8", "backslashreplace").decode()
