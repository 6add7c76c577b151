"""A client's connection (SPEC 3, 5, 6, 7): one socket, one thread, a loop that waits for the next timer.

Congestion control is Reno as RFC 9002 has it, and losses are found by "three newer packets were acknowledged"
and by the probe timeout. Nothing is paced.
"""

import heapq
import random
import select
import socket
import time
from collections import deque

from . import wire
from .handshake import ClientHandshake, Untrusted
from .keys import UPDATE_PACKETS, EarlyUpdate, OpenError
from .wire import WireError, frame

APPLICATION = b"volley-file/1"
PACKET_BYTES = 1200  # the largest datagram sent; every receiver reads that much
FRAME_SPACE = PACKET_BYTES - wire.DATA_OVERHEAD
STREAM_DATA = FRAME_SPACE - 32  # bytes of a STREAM frame, its header aside
WINDOW = 1 << 20  # flow control: what may be under way to this side
HANDSHAKE_S = 10
HANDSHAKE_TIMER_S = 0.25
KEEPALIVE_S = 15
BATCH = 64  # datagrams read before anything is answered


class TransportError(Exception):
    """The end of a connection, with the reason."""

    def __init__(self, text, close=None):
        super().__init__(text)
        self.close = close  # (name, code) of the frame with which the peer closed, if it did


class Violation(TransportError):
    """What the peer did wrong; closes the connection with the code of that name (SPEC 8)."""

    def __init__(self, name, text):
        super().__init__(f"{name}: {text}")
        self.close_code = wire.CLOSE_CODES.index(name)


class Received:
    """The packet numbers that came: ranges in rising order, 256 at most, none below `floor`."""

    def __init__(self):
        self.ranges, self.floor, self.largest = [], 0, -1

    def __contains__(self, number):
        """Also true for what is too old to tell: either way the packet is dropped."""
        return number < self.floor or any(low <= number <= high for low, high in reversed(self.ranges))

    def add(self, number):
        self.largest = max(self.largest, number)
        at = len(self.ranges)
        while at and self.ranges[at - 1][0] > number:
            at -= 1
        joins_left = at > 0 and self.ranges[at - 1][1] == number - 1
        joins_right = at < len(self.ranges) and self.ranges[at][0] == number + 1
        low = self.ranges[at - 1][0] if joins_left else number
        high = self.ranges[at][1] if joins_right else number
        self.ranges[at - joins_left:at + joins_right] = [(low, high)]
        if len(self.ranges) > wire.ACK_RANGES:
            self.forget_below(self.ranges[1][0])

    def forget_below(self, floor):
        """SPEC 4.3. Never falls."""
        self.floor = max(self.floor, floor)
        while self.ranges and self.ranges[0][0] < self.floor:
            low, high = self.ranges.pop(0)
            if high >= self.floor:
                self.ranges.insert(0, (self.floor, high))


class Stream:
    """Both directions of a stream."""

    def __init__(self, send_limit, window):
        self.parts = []  # a heap of (offset, data) that came before its turn
        self.ready = bytearray()  # came in order, not read yet
        self.position = 0  # where `ready` ends
        self.highest = 0  # end of the highest byte that came
        self.limit = window  # the highest offset the peer may send
        self.final_size = None
        self.reset_code = None
        self.written = 0  # bytes sent or waiting to be
        self.send_limit = send_limit
        self.ended = False  # STREAM_FIN or RESET_STREAM is written

    def finished(self):
        """The peer's direction came to its end, or was reset."""
        return self.reset_code is not None or self.position == self.final_size

    def receive(self, offset, data):
        heapq.heappush(self.parts, (offset, data))
        while self.parts and self.parts[0][0] <= self.position:
            offset, data = heapq.heappop(self.parts)
            self.ready += data[self.position - offset:]  # what overlaps came already: it is the same
            self.position = max(self.position, offset + len(data))


class Item:
    """The eliciting frames of one packet. Sent anew they go into a new packet, but are the same item."""

    def __init__(self, frames):
        self.frames = frames
        self.size = sum(map(len, frames)) + wire.DATA_OVERHEAD
        self.times = {}  # {packet number: when it was sent}
        self.waiting = False  # lost or probed: stands in the queue to go out again


class Link:
    """The socket, and the losses that the tests ask for."""

    def __init__(self, host, port, drop, rng):
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * WINDOW)
        self.socket.connect(address)  # so that packets from elsewhere do not get here
        self.socket.setblocking(False)
        self.drop, self.rng = drop, rng
        self.stats = dict.fromkeys(("sent", "sent_dropped", "received", "received_dropped"), 0)

    def lose(self, which):
        self.stats[which] += 1
        if self.rng.random() >= self.drop:
            return False
        self.stats[which + "_dropped"] += 1
        return True

    def send(self, datagram):
        if not self.lose("sent"):
            try:
                self.socket.send(datagram)
            except OSError:  # an ICMP error or a full buffer: as good as lost, never the end (SPEC 7)
                pass

    def receive(self, until):
        """What has come, after waiting for it until that time; at most a batch."""
        wait_s = max(0, until - time.monotonic())
        if not select.select([self.socket], [], [], wait_s)[0]:
            return
        for _ in range(BATCH):
            try:
                datagram = self.socket.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error
            if not self.lose("received"):
                yield datagram


class Connection:
    """An open connection: `connect` makes it, `run` lets it work until something is true."""

    def __init__(self, host, port, security, drop=0.0, seed=None, timeout_s=60, max_datagram=65507,
                 update_pkts=UPDATE_PACKETS, window=WINDOW):
        self.rng = random.Random(seed)
        self.update_pkts = update_pkts
        self.link = Link(host, port, drop, self.rng)
        self.deadline = time.monotonic() + timeout_s
        self.stats = self.link.stats
        self.stats.update(dict.fromkeys(("duplicates", "resent", "probes", "missed", "floors", "ignored"), 0))
        self.client_id = self.rng.randrange(1, 1 << 64)
        self.parameters = {
            "max_data": window, "max_stream_data": window, "max_streams": 16, "idle_timeout": 30000,
            "max_ack_delay": 5000, "max_datagram": max_datagram, "application": APPLICATION}
        self.closed = None  # the TransportError that ended the connection
        # Receiving
        self.received = Received()
        self.largest_time = 0.0  # when the largest packet came
        self.arrivals = deque(maxlen=64)  # times of the last packets, for rule 2 of SPEC 5.1
        self.unacknowledged = 0  # counted packets since the last ACK
        self.ack_at = None  # when the next ACK has to go at the latest
        self.last_heard = time.monotonic()
        self.last_ping = self.last_heard
        self.window_bytes = window
        self.data_limit, self.data_highest, self.data_read = window, 0, 0
        self.streams = {}
        self.next_stream = 0
        # Sending
        self.next_number = 0
        self.next_skip = self.rng.randint(512, 1024)
        self.skipped = set()
        self.floor_sent = 0
        self.unacked = {}  # {packet number: Item}, rising; an item has an entry for each packet it went in
        self.largest_acked = -1
        self.control = deque()  # encoded frames that are not stream data
        self.stream_data = deque()  # (stream, offset, data, fin), new
        self.again = deque()  # items to be sent anew
        self.data_sent = 0  # sum of the highest offsets over all streams
        self.srtt, self.rttvar, self.min_rtt = 0.1, 0.05, None
        self.pto_count = 0
        self.pto_base = 0.0  # when the last counted packet left or the last ACK came
        self.window, self.ssthresh, self.recovery_from = 10 * PACKET_BYTES, float("inf"), -1
        try:
            self.connect(security)
        except TransportError:
            self.link.socket.close()
            raise

    # Handshake (SPEC 3) ----------------------------------------------------------------------------------

    def connect(self, security):
        self.handshake = ClientHandshake(security, self.client_id, self.parameters)
        cookie = b""
        deadline = min(self.deadline, time.monotonic() + HANDSHAKE_S)
        while time.monotonic() < deadline:
            self.link.send(self.handshake.hello(cookie))
            timer, answered = min(time.monotonic() + HANDSHAKE_TIMER_S, deadline), False
            while not answered and time.monotonic() < timer:
                for datagram in self.link.receive(timer):
                    try:
                        packet = wire.decode_packet(datagram)
                    except WireError:
                        continue  # SPEC 2: dropped without an answer
                    if getattr(packet, "client_id", None) != self.client_id:
                        continue
                    if packet.name == "ACCEPT" and cookie and self.accept(packet):
                        return
                    if packet.name == "RETRY":
                        answered = not cookie  # the first is answered at once, a newer cookie kept for the timer
                        cookie = packet.cookie
                    self.turned_away(packet)
        raise TransportError("no answer")

    def turned_away(self, packet):
        if packet.name == "REFUSE":
            name = wire.CLOSE_CODES[packet.code] if packet.code < len(wire.CLOSE_CODES) else "?"
            raise TransportError(f"refused: {name} {packet.reason.decode(errors='replace')}",
                                 ("REFUSE", packet.code))
        if packet.name == "VERSIONS" and wire.VERSION.to_bytes(4, "big") not in [
                packet.versions[i:i + 4] for i in range(0, len(packet.versions), 4)]:
            raise TransportError("the server speaks another version")

    def accept(self, packet):
        try:
            if not self.handshake.accepted(packet):
                self.stats["ignored"] += 1
                return False
        except WireError as error:
            raise TransportError(f"the server's parameters: {error}") from error
        except Untrusted as error:
            raise TransportError(str(error)) from error
        self.server_id, self.peer = self.handshake.server_id, self.handshake.peer
        self.send_keys, self.receive_keys = self.handshake.send_keys, self.handshake.receive_keys
        self.send_keys.update_pkts = self.update_pkts
        self.idle_s = min(self.peer["idle_timeout"], self.parameters["idle_timeout"]) / 1000
        self.data_send_limit = self.peer["max_data"]
        self.last_heard = time.monotonic()
        self.send_finish()
        self.control.append(frame("PING"))  # something at once: the server now knows its ACCEPT came
        self.flush()
        return True

    def send_finish(self):
        """At once, then by the timer until a DATA packet could be opened."""
        self.finish_at = None
        if self.handshake.finish and not self.received.ranges:
            self.link.send(self.handshake.finish)
            self.finish_at = time.monotonic() + HANDSHAKE_TIMER_S

    # What the application uses ---------------------------------------------------------------------------

    def open_stream(self):
        stream = self.next_stream
        if stream // 2 >= self.peer["max_streams"]:
            raise TransportError("the server allows no more streams")
        self.next_stream += 2
        self.streams[stream] = Stream(self.peer["max_stream_data"], self.window_bytes)
        return stream

    def write(self, stream, data, fin=False):
        """Queues data; it leaves when the windows allow."""
        it = self.streams[stream]
        for at in range(0, len(data) or 1, STREAM_DATA):
            part = data[at:at + STREAM_DATA]
            last = fin and at + STREAM_DATA >= len(data)
            self.stream_data.append((stream, it.written, part, last))
            it.written += len(part)
        it.ended = fin

    def read(self, stream):
        """Takes what has come in order and lets the peer send as much more."""
        it = self.streams[stream]
        data, it.ready = bytes(it.ready), bytearray()
        self.data_read += len(data)
        # SPEC 11: raise the limits before half the window is used up
        if it.final_size is None and it.limit - it.position < self.window_bytes * 3 // 4:
            it.limit = it.position + self.window_bytes
            self.control.append(frame("MAX_STREAM_DATA", stream=stream, limit=it.limit))
        if self.data_limit - self.data_read < self.window_bytes * 3 // 4:
            self.data_limit = self.data_read + self.window_bytes
            self.control.append(frame("MAX_DATA", limit=self.data_limit))
        return data

    def unsent_bytes(self):
        return sum(len(data) for _, _, data, _ in self.stream_data)

    def all_acknowledged(self):
        return not (self.unacked or self.again or self.control or self.stream_data)

    def run(self, until):
        """Sends and receives until `until()` is true."""
        while not until():
            if time.monotonic() > self.deadline:
                raise TransportError("out of time")
            self.step()

    def close(self, code, reason=b""):
        """Ends all with CLOSE_APP, said again at 50, 100 and 200 ms until the peer answers (SPEC 7)."""
        self.say_goodbye(frame("CLOSE_APP", code=code, reason=reason))

    # The loop --------------------------------------------------------------------------------------------

    def step(self):
        """Waits for a datagram or a timer, does what is due."""
        self.flush()
        now = time.monotonic()
        timers = [self.deadline, self.last_heard + self.idle_s,
                  max(self.last_heard, self.last_ping) + KEEPALIVE_S]
        timers += [self.ack_at] if self.ack_at is not None else []
        timers += [self.pto_at()] if self.unacked else []
        timers += [self.finish_at] if self.finish_at is not None else []
        try:
            for datagram in self.link.receive(min(timers)):
                self.on_datagram(datagram, time.monotonic())
        except Violation as error:
            reason = str(error).encode()[:wire.REASON_BYTES]
            self.say_goodbye(frame("CLOSE", code=error.close_code, reason=reason))
            raise
        if self.closed:
            raise self.closed
        now = time.monotonic()
        if now >= self.last_heard + self.idle_s:
            raise TransportError("the peer fell silent")
        if now >= max(self.last_heard, self.last_ping) + KEEPALIVE_S:
            self.last_ping = now
            self.control.append(frame("PING"))
        if self.finish_at is not None and now >= self.finish_at:
            self.send_finish()
        if self.unacked and now >= self.pto_at():
            self.probe(now)
        self.flush()

    def on_datagram(self, datagram, now):
        if self.closed:
            return
        self.on_unknown(datagram)
        try:
            number, body = self.open(datagram, now)
        except (OpenError, WireError):
            return
        except EarlyUpdate as error:
            raise Violation("KEY_UPDATE", "the peer's key update came too early") from error
        self.last_heard = now
        if number in self.received:
            self.stats["duplicates"] += 1
            return
        try:
            frames = wire.decode_frames(body)
        except WireError as error:
            raise Violation("FRAME_ENCODING", str(error)) from error
        at_once = False
        for one in frames:
            at_once |= self.on_frame(one, number, now) is True
        # Only now that it is processed does the packet count as received (SPEC 5.1).
        ahead = number - self.received.largest
        at_once |= ahead != 1  # out of order, or a new gap
        if ahead > 0:
            self.largest_time = now
            self.stats["missed"] += ahead - 1  # lost, late, or skipped (SPEC 5.5): nothing waits for them
        self.received.add(number)
        self.arrivals.append(now)
        if any(one.name not in wire.NOT_ELICITING for one in frames):
            self.unacknowledged += 1
            recent = sum(1 for at in self.arrivals if at > now - self.srtt / 4)
            latest = now + self.parameters["max_ack_delay"] / 1e6
            if at_once or self.unacknowledged >= min(max(recent, 2), 64):
                latest = now
            self.ack_at = latest if self.ack_at is None else min(self.ack_at, latest)

    def open(self, datagram, now):
        """(packet number, frames) of a DATA packet to this side."""
        phase, ident, number, header, sealed = wire.split_data(datagram)
        if ident != self.client_id:
            raise WireError("for another connection")
        return number, self.receive_keys.open(phase, number, header, sealed, now, 3 * self.pto())

    def on_unknown(self, datagram):
        if datagram[:1] != b"\x06":
            return
        try:
            packet = wire.decode_packet(datagram)
        except WireError:
            return
        if (packet.name == "UNKNOWN" and packet.server_id == self.server_id
                and packet.reset_token == self.peer["reset_token"]):
            self.closed = TransportError("the server does not know the connection any more")

    def on_frame(self, one, number, now):
        """Handles a frame; True when it wants its acknowledgement at once (SPEC 5.1)."""
        match one.name:
            case "PING":
                return True
            case "ACK" | "ACK_ECN":
                self.on_ack(one, now)
            case "FLOOR":
                if one.number > number:
                    raise Violation("PROTOCOL_VIOLATION", "FLOOR above its own packet")
                self.stats["floors"] += 1
                self.received.forget_below(one.number)
            case "STREAM" | "STREAM_FIN":
                return self.on_stream(one, one.offset + len(one.data), one.name == "STREAM_FIN")
            case "RESET_STREAM":
                return self.on_stream(one, one.final_size, True)
            case "STOP_SENDING":
                self.on_stop_sending(one)
            case "MAX_DATA":
                self.data_send_limit = max(self.data_send_limit, one.limit)
            case "MAX_STREAM_DATA":
                it = self.stream_of(one.stream)
                it.send_limit = max(it.send_limit, one.limit)
            case "MAX_STREAMS":
                self.peer["max_streams"] = max(self.peer["max_streams"], one.count)
            case "PATH_CHALLENGE":
                self.control.append(frame("PATH_RESPONSE", data=one.data))
            case "CLOSE" | "CLOSE_APP":
                self.send_packet([frame("CLOSE", code=0, reason=b"")], None)
                reason = one.reason.decode(errors="replace")
                self.closed = TransportError(f"the server closed: {one.name} code {one.code} {reason}",
                                             (one.name, one.code))
        return False

    # Receiving streams (SPEC 6) --------------------------------------------------------------------------

    def stream_of(self, ident):
        if ident % 2:  # the server's own; this client has no use for them but knows the rules
            if ident // 2 >= self.parameters["max_streams"]:
                raise Violation("STREAM_LIMIT", f"stream {ident}")
            self.streams.setdefault(ident, Stream(self.peer["max_stream_data"], self.window_bytes))
        elif ident not in self.streams:
            raise Violation("STREAM_STATE", f"stream {ident} is not open")
        return self.streams[ident]

    def on_stream(self, one, end, final):
        it = self.stream_of(one.stream)
        if it.final_size is not None and (end > it.final_size or final and end != it.final_size):
            raise Violation("FINAL_SIZE", f"stream {one.stream}: {it.final_size}, now {end}")
        if final and end < it.highest:
            raise Violation("FINAL_SIZE", f"stream {one.stream}: ends at {end}, has {it.highest}")
        if end > it.highest:
            self.data_highest += end - it.highest
            it.highest = end
        if it.highest > it.limit or self.data_highest > self.data_limit:
            raise Violation("FLOW_CONTROL", f"stream {one.stream}")
        if it.finished():
            return final
        if final:
            it.final_size = end
        if one.name == "RESET_STREAM":
            it.reset_code = one.code
            self.data_read += end - (it.position - len(it.ready))  # will never be read: give it back
            it.parts, it.ready = [], bytearray()
        else:
            it.receive(one.offset, one.data)
        return final

    def on_stop_sending(self, one):
        it = self.stream_of(one.stream)
        kept = [entry for entry in self.stream_data if entry[0] != one.stream]
        sent = min([entry[1] for entry in self.stream_data if entry[0] == one.stream], default=it.written)
        if not it.ended or len(kept) < len(self.stream_data):
            self.stream_data, it.ended = deque(kept), True
            self.control.append(frame("RESET_STREAM", stream=one.stream, code=one.code, final_size=sent))

    # Acknowledgements of what was sent (SPEC 5) ----------------------------------------------------------

    def on_ack(self, ack, now):
        for low, high in ack.ranges:
            if high >= self.next_number or any(low <= number <= high for number in self.skipped):
                raise Violation("PROTOCOL_VIOLATION", "ACK of a number that was never sent")
            self.send_keys.on_acked(high)
        newly = [number for number in self.unacked if any(low <= number <= high for low, high in ack.ranges)]
        if ack.largest in newly:
            delay = min(ack.delay, self.peer["max_ack_delay"]) / 1e6
            self.on_rtt_sample(now - self.unacked[ack.largest].times[ack.largest], delay)
        for number in newly:
            item = self.unacked.get(number)
            if item is None:
                continue  # acknowledged under another number just now
            for other in item.times:
                self.unacked.pop(other, None)
            if item.waiting:
                self.again.remove(item)
            slow_start = self.window < self.ssthresh
            self.window += item.size if slow_start else PACKET_BYTES * item.size // self.window
        if newly:
            self.pto_count, self.pto_base = 0, now
        self.largest_acked = max(self.largest_acked, ack.largest)
        for item in dict.fromkeys(self.unacked.values()):
            newest = max(item.times)
            if not item.waiting and newest <= self.largest_acked - 3:
                self.send_again(item)
                if newest > self.recovery_from:  # one reduction for all losses of a round trip
                    self.recovery_from = self.next_number
                    self.window = self.ssthresh = max(self.window // 2, 2 * PACKET_BYTES)

    def on_rtt_sample(self, sample, delay):
        if self.min_rtt is None:
            self.min_rtt, self.srtt, self.rttvar = sample, sample, sample / 2
            return
        self.min_rtt = min(self.min_rtt, sample)
        if sample - delay >= self.min_rtt:
            sample -= delay
        self.rttvar = 0.75 * self.rttvar + 0.25 * abs(self.srtt - sample)
        self.srtt = 0.875 * self.srtt + 0.125 * sample

    def pto_at(self):
        return self.pto_base + min(self.pto() * 2 ** self.pto_count, max(0.5, self.pto()))

    def pto(self):
        """SPEC 5.4, not doubled."""
        return self.srtt + max(4 * self.rttvar, 0.001) + self.peer["max_ack_delay"] / 1e6

    def probe(self, now):
        """Sends up to two of the oldest items anew, whatever the window says. Declares nothing lost."""
        self.pto_count += 1
        self.pto_base = now
        for item in list(dict.fromkeys(self.unacked.values()))[:2]:
            if not item.waiting:
                self.send_again(item)
        for _ in range(min(2, len(self.again))):
            self.stats["probes"] += 1
            self.send_item(self.again.popleft())

    def send_again(self, item):
        item.waiting = True
        self.again.append(item)
        self.stats["resent"] += 1

    # Sending ---------------------------------------------------------------------------------------------

    def in_flight(self):
        return sum(item.size for item in dict.fromkeys(self.unacked.values()) if not item.waiting)

    def flush(self):
        """Sends what there is and what the congestion window allows, at last an ACK that is due alone."""
        room = self.window - self.in_flight()
        while room > 0:
            item = self.again.popleft() if self.again else self.next_item()
            if item is None:
                break
            self.send_item(item)
            room -= item.size
        if self.ack_at is not None and time.monotonic() >= self.ack_at:
            self.send_packet([], None)

    def next_item(self):
        """New frames, as many as fit; None when there are none that may go."""
        frames, space = [], FRAME_SPACE
        while self.control and len(self.control[0]) <= space:
            frames.append(self.control.popleft())
            space -= len(frames[-1])
        while self.stream_data:
            stream, offset, data, fin = self.stream_data[0]
            if (offset + len(data) > self.streams[stream].send_limit
                    or self.data_sent + len(data) > self.data_send_limit):
                break
            one = frame("STREAM_FIN" if fin else "STREAM", stream=stream, offset=offset, data=data)
            if len(one) > space:
                break
            self.stream_data.popleft()
            self.data_sent += len(data)
            frames.append(one)
            space -= len(one)
        return Item(frames) if frames else None

    def send_item(self, item):
        item.waiting = False
        self.send_packet(item.frames, item)

    def send_packet(self, frames, item):
        """Each packet has a new number, and takes the ACK along when one is owed and fits."""
        if self.next_number == self.next_skip:  # SPEC 5.5: a peer that acknowledges this one is lying
            self.skipped.add(self.next_number)
            self.next_number += 1
            self.next_skip += self.rng.randint(512, 1024) + len(self.unacked)
        now = time.monotonic()
        space = FRAME_SPACE - sum(map(len, frames))
        body = b"".join(self.ack_frames(now, space)) + b"".join(frames)
        if not body:
            return
        number, self.next_number = self.next_number, self.next_number + 1
        if item:
            item.times[number] = now
            self.unacked[number] = item
            self.pto_base = now
        self.link.send(self.send_keys.seal(
            lambda phase: wire.data_header(phase, self.server_id, number), number, body))

    def ack_frames(self, now, space):
        """The ACK, and FLOOR when it rose by much."""
        if self.ack_at is None or not self.received.ranges:
            return
        ranges = self.received.ranges[::-1]
        while ranges:
            delay = int((now - self.largest_time) * 1e6)
            ack = frame("ACK", largest=ranges[0][1], delay=delay, kernel_drops=0, ranges=ranges)
            if len(ack) <= space:
                break
            ranges = ranges[:len(ranges) // 2]  # the newest matter most
        else:
            return
        yield ack
        self.receive_keys.on_ack_sent()
        self.ack_at, self.unacknowledged = None, 0
        floor = min(self.unacked, default=self.next_number)
        if floor >= self.floor_sent + 128 and space - len(ack) >= 9:
            self.floor_sent = floor
            yield frame("FLOOR", number=floor)

    def say_goodbye(self, closing):
        """Sends CLOSE or CLOSE_APP as SPEC 7 says and forgets the connection."""
        begin, self.ack_at = time.monotonic(), None
        last = begin + 0.5
        for at in (0, 0.05, 0.1, 0.2, None):
            until = last if at is None else begin + at
            while time.monotonic() < until:
                for datagram in self.link.receive(until):
                    if self.is_close(datagram):
                        return
            if at is not None:
                self.send_packet([closing], None)

    def is_close(self, datagram):
        try:
            _, body = self.open(datagram, time.monotonic())
            return any(one.name.startswith("CLOSE") for one in wire.decode_frames(body))
        except (OpenError, EarlyUpdate, WireError):
            return False
