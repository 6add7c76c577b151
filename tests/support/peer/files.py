"""The file protocol (SPEC 10), a client of it: list, get, put."""

import os
import stat
from pathlib import Path

from .transport import TransportError
from .wire import Reader, Table, WireError, varint
from .xxh3 import xxh3_128

CHUNK = 1 << 20
HASHES_MAX = 1024
MESSAGE_BYTES = 65536
SEND_AHEAD = 1 << 18  # content read from a file before it can leave
PUT_REPLACE = 1

MESSAGES = Table({
    0x01: "START version",
    0x10: "LIST request recursive:u8 path:str",
    0x11: "GET request stream path:str",
    0x12: "PUT request stream flags:u8 size mode:u16 mtime:u64 path:str",
    0x13: "MKDIR request mode:u16 path:str",
    0x14: "CANCEL request",
    0x20: "ENTRY request kind:u8 size mode:u16 mtime:u64 path:str",
    0x21: "INFO request size mode:u16 mtime:u64",
    0x22: "READY request",
    0x30: "HASHES request first hashes:hashes",
    0x31: "END request size root:raw16",
    0x32: "DONE request",
    0x33: "ERROR request code text:str",
})

ERRORS = ("NO_ERROR NOT_FOUND REFUSED EXISTS PERMISSION IS_DIRECTORY NOT_DIRECTORY NOT_REGULAR BAD_NAME "
          "NO_SPACE SOURCE_CHANGED INTEGRITY IO LIMIT PROTOCOL CANCELLED").split()
PROTOCOL, INTEGRITY = ERRORS.index("PROTOCOL"), ERRORS.index("INTEGRITY")


class FileError(Exception):
    """The ERROR of a request."""

    def __init__(self, code, text):
        self.code, self.name = code, ERRORS[code] if code < len(ERRORS) else "?"
        super().__init__(f"error {code} {self.name}: {text}")


def root_hash(size, hashes):
    """SPEC 10.6."""
    return xxh3_128(size.to_bytes(8, "big") + b"".join(hashes))


def signed(mtime):
    return mtime - (1 << 64) if mtime >> 63 else mtime


class FileClient:
    """Requests over one connection, one at a time."""

    def __init__(self, connection):
        self.connection = connection
        self.control = connection.open_stream()  # the first one: 0
        self.buffer = b""
        self.messages = []
        self.started = False
        self.request = 0
        self.send("START", version=1)

    def send(self, name, **fields):
        body = MESSAGES.encode_body(name, **fields)
        head = bytes([MESSAGES.types[name]]) + varint(len(body))
        self.connection.write(self.control, head + body)

    def fail(self, text):
        self.connection.close(PROTOCOL, text.encode())
        raise TransportError(text)

    def poll(self):
        """Takes what has come on the control stream apart into messages."""
        self.buffer += self.connection.read(self.control)
        while self.buffer:
            reader = Reader(self.buffer)
            try:
                type_byte, size = reader.integer(1), reader.varint()
                if size <= MESSAGE_BYTES:
                    body = reader.take(size)
            except WireError:
                return  # not all of it is here yet
            if size > MESSAGE_BYTES:
                self.fail("a message is too long")
            self.buffer = self.buffer[reader.at:]
            self.on_message(type_byte, Reader(body))

    def on_message(self, type_byte, reader):
        try:
            message = MESSAGES.decode_body(type_byte, reader)
        except WireError as error:
            self.fail(f"a message does not decode: {error}")
        if reader.left():
            self.fail(f"bytes after the {message.name}")
        if (message.name == "START") == self.started:
            self.fail(f"{message.name} is out of place")
        if message.name == "START":
            if message.version != 1:
                self.fail(f"version {message.version} of the file protocol")
            self.started = True
        elif message.request != self.request:
            self.fail(f"{message.name} for request {message.request}")
        elif message.name == "ERROR":
            raise FileError(message.code, message.text.decode(errors="backslashreplace"))
        else:
            self.messages.append(message)

    def next(self, *names):
        """Waits for the next message, which has to be one of those."""
        def there():
            self.poll()
            return self.messages
        self.connection.run(there)
        message = self.messages.pop(0)
        if message.name not in names:
            self.fail(f"{message.name} is out of place")
        return message

    def finish(self):
        """Ends the connection after all is acknowledged."""
        self.connection.run(self.connection.all_acknowledged)
        self.connection.close(0)

    # Requests --------------------------------------------------------------------------------------------

    def list(self, path, recursive=False):
        """Yields the ENTRY messages."""
        self.request += 1
        self.send("LIST", request=self.request, recursive=int(recursive), path=path)
        while (message := self.next("ENTRY", "DONE")).name == "ENTRY":
            yield message

    def get(self, path, local, verify=True):
        """Downloads a file; under its name it appears when it is verified. Returns its size."""
        self.request += 1
        stream = self.connection.open_stream()
        self.send("GET", request=self.request, stream=stream, path=path)
        self.connection.write(stream, b"", fin=True)
        info = self.next("INFO")
        part = Path(f"{local}.part")
        try:
            with open(part, "wb") as file:
                content = self.receive_verified(stream, Content(file, verify))
                os.fchmod(file.fileno(), info.mode & 0o777)
                os.fsync(file.fileno())
        except BaseException:
            part.unlink()
            raise
        os.utime(part, ns=(signed(info.mtime), signed(info.mtime)))
        os.replace(part, local)
        directory = os.open(Path(local).absolute().parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        self.send("DONE", request=self.request)
        return content.size

    def receive_verified(self, stream, content):
        problem = content.problem(self.receive_content(stream, content))
        if problem:
            self.send("ERROR", request=self.request, code=INTEGRITY, text=problem.encode())
            raise FileError(INTEGRITY, problem)
        return content

    def receive_content(self, stream, content):
        """Until the stream is at its end and END is here; the two come in any order."""
        end = None
        receiving = self.connection.streams[stream]

        def complete():
            nonlocal end
            self.poll()
            content.add(self.connection.read(stream))
            while self.messages:
                message = self.messages.pop(0)
                if message.name == "HASHES" and end is None and message.first == len(content.told) \
                        and 1 <= len(message.hashes) <= HASHES_MAX:
                    content.told += message.hashes
                elif message.name == "END" and end is None:
                    end = message
                else:
                    self.fail(f"{message.name} is out of place")
            return end and receiving.finished() and not receiving.ready

        self.connection.run(complete)  # a reset stream is followed by ERROR, which `poll` raises
        return end

    def put(self, local, path, replace=False):
        """Uploads a file; returns its size once the server has it on stable storage."""
        self.request += 1
        stream = self.connection.open_stream()
        with open(local, "rb") as file:
            info = os.fstat(file.fileno())
            self.send("PUT", request=self.request, stream=stream, flags=PUT_REPLACE * replace,
                      size=info.st_size, mode=stat.S_IMODE(info.st_mode) & 0o777,
                      mtime=info.st_mtime_ns % (1 << 64), path=path)
            self.next("READY")
            hashes = []
            while chunk := file.read(CHUNK):
                hashes.append(xxh3_128(chunk))
                for at in range(0, len(chunk), SEND_AHEAD):
                    self.connection.run(self.may_read_ahead)
                    self.connection.write(stream, chunk[at:at + SEND_AHEAD])
            size = file.tell()
        self.connection.write(stream, b"", fin=True)
        for first in range(0, len(hashes), HASHES_MAX):
            self.send("HASHES", request=self.request, first=first, hashes=hashes[first:first + HASHES_MAX])
        self.send("END", request=self.request, size=size, root=root_hash(size, hashes))
        self.next("DONE")
        return size

    def may_read_ahead(self):
        self.poll()  # raises when the server gave up
        return self.connection.unsent_bytes() < SEND_AHEAD


class Content:
    """What comes of a file: written and hashed as it comes."""

    def __init__(self, file, verify):
        self.file, self.verify = file, verify
        self.size = 0
        self.chunk = bytearray()
        self.hashes = []  # of what came
        self.told = []  # of what the server sent, by its HASHES

    def add(self, data):
        self.file.write(data)
        self.size += len(data)
        if self.verify:
            self.chunk += data
            while len(self.chunk) >= CHUNK:
                self.hashes.append(xxh3_128(bytes(self.chunk[:CHUNK])))
                del self.chunk[:CHUNK]

    def problem(self, end):
        """What does not match END and HASHES; None when all is well."""
        if self.verify and self.chunk:
            self.hashes.append(xxh3_128(bytes(self.chunk)))
        if self.size != end.size:
            return f"{self.size} bytes came, {end.size} were announced"
        if len(self.told) != -(-self.size // CHUNK):
            return f"{len(self.told)} hashes came for {self.size} bytes"
        if root_hash(end.size, self.told) != end.root:
            return "the root does not match the hashes of the chunks"
        if self.verify and self.hashes != self.told:
            bad = [i for i, (a, b) in enumerate(zip(self.hashes, self.told)) if a != b]
            return f"chunk {bad[0]} does not match its hash"
        self.file.flush()
        return None
