"""Files: uploads kept in memory, addresses taken as they are, ids for both."""

from dataclasses import dataclass, field

from heraldo.botapi.errors import Rejected, bad_request
from heraldo.botapi.links import WrongLink, checked_link
from heraldo.botapi.params import Params, Upload
from heraldo.botapi.state import StoredFile

MAX_PHOTO_BYTES = 10_000_000
MAX_FILE_BYTES = 50_000_000
_ATTACHED = "attach://"
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")


@dataclass(slots=True, eq=False)
class Files:
    """All files by id. Addresses are not fetched: those listed as refused are refused."""

    by_id: dict[str, StoredFile] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Beginnings of addresses and what Telegram says of them."""

    def resolve(self, params: Params, value: str | None, kind: str) -> StoredFile:
        """Returns the file a request means by an upload, an address or an id.

        ``value`` is the parameter's text; without one the upload named like the kind is meant.
        Raises Rejected with Telegram's reason.
        """
        if value is None or value.startswith(_ATTACHED):
            name = kind if value is None else value.removeprefix(_ATTACHED)
            upload = params.uploads.get(name)
            if upload is None:
                raise bad_request(f"there is no {kind} in the request")
            return self.keep_upload(upload, kind)
        if value in self.by_id:
            return self.by_id[value]
        if "://" not in value:
            raise bad_request("wrong file identifier/HTTP URL specified")
        try:
            url = checked_link(value)
        except WrongLink as error:
            raise bad_request(f"invalid file HTTP URL specified: {error}") from None
        for beginning, why in self.refused.items():
            if value.startswith(beginning):
                raise bad_request(why)
        return self._keep(StoredFile(file_id="", name=None, mime=None, data=None, url=url))

    def keep_upload(self, upload: Upload, kind: str) -> StoredFile:
        """Stores an upload; raises Rejected when it is too large or no picture for a photo."""
        if len(upload.data) > (MAX_PHOTO_BYTES if kind == "photo" else MAX_FILE_BYTES):
            raise Rejected(413, "Request Entity Too Large")
        if not upload.data:
            raise bad_request("file must be non-empty")
        if kind == "photo" and not upload.data.startswith(_PICTURES):
            raise bad_request("IMAGE_PROCESS_FAILED")
        return self._keep(
            StoredFile(
                file_id="",
                name=upload.filename,
                mime=upload.content_type,
                data=upload.data,
                url=None,
            )
        )

    def _keep(self, file: StoredFile) -> StoredFile:
        stored = StoredFile(
            file_id=f"file-{len(self.by_id) + 1}",
            name=file.name,
            mime=file.mime,
            data=file.data,
            url=file.url,
        )
        self.by_id[stored.file_id] = stored
        return stored
