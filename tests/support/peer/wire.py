"""What travels: integers, the tag, packets, frames, transport parameters (SPEC 1, 2 and 4).

The tables of SPEC.md stand here as tables, and one small codec reads and writes all of them. A row is a
type byte, a name and fields; a field is `name:kind`, or just `name` for a varint.
"""

from struct import pack, unpack
from types import SimpleNamespace

VERSION = 0x564C5901
SUITE_PLAIN, SUITE_AES_256_GCM, SUITE_CHACHA20_POLY1305, SUITE_AES_128_GCM = 0x01, 0x02, 0x03, 0x04
SUITES = {"plain": SUITE_PLAIN, "aes-256-gcm": SUITE_AES_256_GCM,
          "chacha20-poly1305": SUITE_CHACHA20_POLY1305, "aes-128-gcm": SUITE_AES_128_GCM}
METHODS = {"keys": 1, "psk": 2, "code": 3}  # SPEC 3.1
VARINT_MAX = (1 << 62) - 1
TAG_BYTES = 16
DATA_HEADER = 17
DATA_OVERHEAD = DATA_HEADER + TAG_BYTES  # what a DATA packet needs besides its frames
HELLO_BYTES = 1200
REASON_BYTES = 128
ACK_RANGES = 256

CLOSE_CODES = ("NO_ERROR INTERNAL PROTOCOL_VIOLATION FRAME_ENCODING FLOW_CONTROL STREAM_LIMIT STREAM_STATE "
               "FINAL_SIZE NO_MEMORY PARAMETER SUITE APPLICATION BUSY TIMEOUT METHOD AUTH KEY_UPDATE AEAD_LIMIT "
               "ACCESS").split()  # SPEC 8, from 0


class WireError(Exception):
    """Bytes that do not decode."""


# Integers ------------------------------------------------------------------------------------------------


def varint(value):
    """The shortest encoding."""
    for length_bits, size in enumerate((1, 2, 4, 8)):
        if value < 1 << (8 * size - 2):
            return (value | length_bits << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(f"{value} is above 2^62 - 1")


class Reader:
    """Takes fields off the front of some bytes; the methods are named as the kinds of fields."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, size):
        if size > self.left():
            raise WireError("the data ends too early")
        self.at += size
        return self.data[self.at - size:self.at]

    def integer(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        size = 1 << (self.integer(1) >> 6)
        self.at -= 1
        return self.integer(size) & (1 << (8 * size - 2)) - 1


# How each kind of field is read and written. `fields` are the fields of the record before this one.
READ = {
    "varint": lambda r, fields: r.varint(),
    "u8": lambda r, fields: r.integer(1),
    "u16": lambda r, fields: r.integer(2),
    "u32": lambda r, fields: r.integer(4),
    "u64": lambda r, fields: r.integer(8),
    "bytes8": lambda r, fields: r.take(r.integer(1)),
    "bytes16": lambda r, fields: r.take(r.integer(2)),
    "str": lambda r, fields: r.take(r.varint()),
    "raw7": lambda r, fields: r.take(7),
    "raw8": lambda r, fields: r.take(8),
    "raw16": lambda r, fields: r.take(16),
    "raw32": lambda r, fields: r.take(32),
    "rest": lambda r, fields: r.take(r.left()),
    "ranges": lambda r, fields: read_ranges(r, fields["largest"]),
    "hashes": lambda r, fields: [r.take(16) for _ in range(r.varint())],  # of HASHES, SPEC 10.1
}
WRITE = {
    "varint": varint,
    "u8": lambda value: value.to_bytes(1, "big"),
    "u16": lambda value: value.to_bytes(2, "big"),
    "u32": lambda value: value.to_bytes(4, "big"),
    "u64": lambda value: value.to_bytes(8, "big"),
    "bytes8": lambda value: bytes([len(value)]) + value,
    "bytes16": lambda value: pack(">H", len(value)) + value,
    "str": lambda value: varint(len(value)) + value,
    "raw7": bytes,
    "raw8": bytes,
    "raw16": bytes,
    "raw32": bytes,
    "rest": bytes,
    "ranges": lambda value: write_ranges(value),
    "hashes": lambda value: varint(len(value)) + b"".join(value),
}


def read_ranges(reader, largest):
    """SPEC 4.1: [(low, high), ...] from the newest to the oldest."""
    count, high = reader.varint(), largest
    if count >= ACK_RANGES:
        raise WireError(f"{count + 1} ranges in an ACK")
    low = high - reader.varint()
    ranges = [(low, high)]
    for _ in range(count):
        high = low - reader.varint() - 2
        low = high - reader.varint()
        ranges.append((low, high))
    if low < 0:
        raise WireError("an ACK range below zero")
    return ranges


def write_ranges(ranges):
    out, below = varint(len(ranges) - 1) + varint(ranges[0][1] - ranges[0][0]), ranges[0][0]
    for low, high in ranges[1:]:
        out += varint(below - high - 2) + varint(high - low)
        below = low
    return out


class Record(SimpleNamespace):
    """A decoded row: `name` and its fields as attributes."""

    def fields(self):
        return {key: value for key, value in vars(self).items() if key != "name"}


class Table:
    """Records of a type byte and fields."""

    def __init__(self, rows):
        self.rows = {}
        self.types = {}
        for type_byte, text in rows.items():
            name, *fields = text.split()
            layout = [(field.partition(":")[0], field.partition(":")[2] or "varint") for field in fields]
            self.rows[type_byte] = name, layout
            self.types[name] = type_byte

    def decode(self, reader):
        return self.decode_body(reader.integer(1), reader)

    def decode_body(self, type_byte, reader):
        if type_byte not in self.rows:
            raise WireError(f"type 0x{type_byte:02x} is not known")
        name, layout = self.rows[type_byte]
        fields = {}
        for field, kind in layout:
            fields[field] = READ[kind](reader, fields)
        return Record(name=name, **fields)

    def encode(self, name, **fields):
        return bytes([self.types[name]]) + self.encode_body(name, **fields)

    def encode_body(self, name, **fields):
        return b"".join(WRITE[kind](fields[field]) for field, kind in self.rows[self.types[name]][1])


# The tag of suite plain (SPEC 2.1) -----------------------------------------------------------------------


def crc_tables():
    one = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        one.append(value)
    # For two bytes at a time, which makes it twice as fast.
    return one, [one[value >> 8 ^ one[value & 255] & 255] ^ one[value & 255] >> 8 for value in range(65536)]


CRC_BYTE, CRC_PAIR = crc_tables()
ZEROS = bytes(256)


def crc_of_zeros():
    """What ZEROS make of a state: linear in its bits, so a table for each of its four bytes."""
    bits = []
    for bit in range(32):
        crc = 1 << bit
        for _ in ZEROS:
            crc = CRC_BYTE[crc & 0xFF] ^ crc >> 8
        bits.append(crc)
    tables = []
    for byte in range(4):
        table = [0] * 256
        for value in range(1, 256):
            low = value & -value
            table[value] = table[value ^ low] ^ bits[8 * byte + low.bit_length() - 1]
        tables.append(table)
    return tables


CRC_ZEROS = crc_of_zeros()


def crc32c(data):
    """Runs of zeros, which pad every HELLO, are passed over 256 at a time."""
    crc = 0xFFFFFFFF
    for at in range(0, len(data), len(ZEROS)):
        part = data[at:at + len(ZEROS)]
        if part == ZEROS:
            crc = (CRC_ZEROS[0][crc & 0xFF] ^ CRC_ZEROS[1][crc >> 8 & 0xFF] ^ CRC_ZEROS[2][crc >> 16 & 0xFF]
                   ^ CRC_ZEROS[3][crc >> 24])
            continue
        for pair in unpack(f"<{len(part) // 2}H", part[:len(part) & ~1]):
            crc = CRC_PAIR[(crc ^ pair) & 0xFFFF] ^ crc >> 16
        if len(part) & 1:
            crc = CRC_BYTE[(crc ^ part[-1]) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def tag(body):
    return pack(">I12x", crc32c(body))


# Packets (SPEC 2) ----------------------------------------------------------------------------------------

PACKETS = Table({
    0x01: "HELLO version:u32 client_id:u64 suites:bytes8 cookie:bytes8 handshake:bytes16 parameters:bytes16"
          " padding:rest",
    0x02: "RETRY client_id:u64 cookie:bytes8",
    0x03: "ACCEPT client_id:u64 server_id:u64 version:u32 suite:u8 handshake:bytes16 parameters:bytes16",
    0x04: "FINISH server_id:u64 handshake:bytes16",
    0x05: "VERSIONS client_id:u64 versions:bytes8",
    0x06: "UNKNOWN server_id:u64 reset_token:raw16",
    0x07: "REFUSE client_id:u64 code reason:str",
    0x40: "DATA connection_id:u64 number:u64 frames:rest",
})


def decode_packet(datagram):
    """The packet; WireError when it has to be dropped."""
    body = datagram[:-TAG_BYTES]
    if not body or datagram[-TAG_BYTES:] != tag(body):
        raise WireError("the tag does not verify")
    reader = Reader(body)
    packet = PACKETS.decode(reader)
    if reader.left():
        raise WireError("bytes are left over")
    if packet.name == "HELLO" and (any(packet.padding) or len(datagram) < HELLO_BYTES
                                   or not 1 <= len(packet.suites) <= 8 or len(packet.cookie) > 64):
        raise WireError("a HELLO out of its limits")
    if packet.name == "RETRY" and not 1 <= len(packet.cookie) <= 64:
        raise WireError("a cookie out of its limits")
    if packet.name == "VERSIONS" and len(packet.versions) % 4:
        raise WireError("half a version")
    if packet.name == "REFUSE" and len(packet.reason) > REASON_BYTES:
        raise WireError("a reason too long")
    if packet.name == "DATA" and (packet.number > VARINT_MAX or not packet.frames):
        raise WireError("a DATA packet out of its limits")
    return packet


def data_header(phase, connection_id, number):
    """SPEC 2.9; it is also the associated data of sealed suites."""
    return pack(">BQQ", 0x40 | phase, connection_id, number)


def split_data(datagram):
    """(phase, connection id, number, header, what is sealed) of a DATA packet, not verified."""
    if len(datagram) <= DATA_OVERHEAD or datagram[0] & 0xFE != 0x40:
        raise WireError("no DATA packet")
    _, connection_id, number = unpack(">BQQ", datagram[:DATA_HEADER])
    if number > VARINT_MAX:
        raise WireError("a packet number above 2^62 - 1")
    return datagram[0] & 1, connection_id, number, datagram[:DATA_HEADER], datagram[DATA_HEADER:]


def encode_packet(name, **fields):
    if name == "HELLO":
        fields["padding"] = b""
        short = HELLO_BYTES - TAG_BYTES - len(PACKETS.encode(name, **fields))
        fields["padding"] = bytes(max(0, short))
    body = PACKETS.encode(name, **fields)
    return body + tag(body)


# Transport parameters (SPEC 2.10) ------------------------------------------------------------------------

PARAMETERS = {  # id: (name, lowest, highest, default); without limits the value is bytes
    0x01: ("max_data", 0, VARINT_MAX, 0),
    0x02: ("max_stream_data", 0, VARINT_MAX, 0),
    0x03: ("max_streams", 0, 1 << 60, 0),
    0x04: ("idle_timeout", 1000, 600000, 30000),
    0x05: ("max_ack_delay", 0, 1000000, 5000),
    0x06: ("max_datagram", 1200, 65507, 1200),
    0x07: ("reset_token", None, None, None),
    0x08: ("application", None, None, None),
}
PARAMETER_IDS = {row[0]: ident for ident, row in PARAMETERS.items()}
PARAMETER_SIZES = {"reset_token": (16, 16), "application": (1, 32)}


def decode_parameters(data):
    """{name: value} of those that are there."""
    reader, found = Reader(data), {}
    while reader.left():
        ident, value = reader.varint(), reader.take(reader.integer(1))
        if ident not in PARAMETERS:
            continue
        name, low, high, _ = PARAMETERS[ident]
        if name in found:
            raise WireError(f"{name} occurs twice")
        if low is None:
            number, (low, high) = len(value), PARAMETER_SIZES[name]
        else:
            inner = Reader(value)
            number = value = inner.varint()
            if inner.left():
                raise WireError(f"{name} does not fill its length")
        if not low <= number <= high:
            raise WireError(f"{name} is out of its limits")
        found[name] = value
    return found


def with_defaults(parameters):
    return {row[0]: row[3] for row in PARAMETERS.values()} | parameters


def encode_parameters(parameters):
    out = b""
    for name, value in parameters.items():
        value = value if isinstance(value, bytes) else varint(value)
        out += varint(PARAMETER_IDS[name]) + WRITE["bytes8"](value)
    return out


# Frames (SPEC 4) -----------------------------------------------------------------------------------------

FRAMES = Table({
    0x00: "PADDING",
    0x01: "PING",
    0x02: "ACK largest delay kernel_drops ranges:ranges",
    0x03: "ACK_ECN largest delay kernel_drops ranges:ranges ect0 ect1 ce",
    0x05: "FLOOR number",
    0x08: "STREAM stream offset data:str",
    0x09: "STREAM_FIN stream offset data:str",
    0x10: "RESET_STREAM stream code final_size",
    0x11: "STOP_SENDING stream code",
    0x12: "MAX_DATA limit",
    0x13: "MAX_STREAM_DATA stream limit",
    0x14: "MAX_STREAMS count",
    0x18: "PATH_CHALLENGE data:raw8",
    0x19: "PATH_RESPONSE data:raw8",
    0x1c: "CLOSE code reason:str",
    0x1d: "CLOSE_APP code reason:str",
})
NOT_ELICITING = {"PADDING", "ACK", "ACK_ECN", "FLOOR", "CLOSE", "CLOSE_APP"}
frame = FRAMES.encode


def decode_frames(data):
    """All frames of a packet, or WireError: a packet that does not decode to its end has no effect."""
    reader, frames = Reader(data), []
    while reader.left():
        one = FRAMES.decode(reader)
        if one.name in ("STREAM", "STREAM_FIN") and one.offset + len(one.data) > VARINT_MAX:
            raise WireError("a stream beyond 2^62 - 1")
        if one.name in ("CLOSE", "CLOSE_APP") and len(one.reason) > REASON_BYTES:
            raise WireError("a reason too long")
        frames.append(one)
    return frames


# For people ----------------------------------------------------------------------------------------------


def unhex(text):
    """Hex as in tests/vectors: `00*12` is the byte 00, twelve times."""
    out = b""
    for word in text.split():
        digits, _, times = word.partition("*")
        out += bytes.fromhex(digits) * int(times or 1)
    return out


def describe(record, indent=""):
    """Lines that show a packet or frame field by field."""
    yield indent + record.name
    for field, value in record.fields().items():
        if field == "parameters":
            yield f"{indent}  parameters ({len(value)} bytes)"
            for name, parameter in decode_parameters(value).items():
                yield f"{indent}    {name} = {show(name, parameter)}"
        elif field == "frames":
            for one in decode_frames(value):
                yield from describe(one, indent + "  ")
        else:
            yield f"{indent}  {field} = {show(field, value)}"


def show(field, value):
    if field in ("client_id", "server_id", "connection_id", "version"):
        return f"0x{value:x}"
    if field == "padding":
        return f"{len(value)} bytes"
    if field == "ranges":
        return ", ".join(f"{low} to {high}" if low < high else str(low) for low, high in value)
    if isinstance(value, bytes):
        readable = value.isascii() and value.decode("ascii").isprintable()
        return f'{value.hex()} "{value.decode("ascii")}"' if value and readable else value.hex() or "empty"
    return str(value)
