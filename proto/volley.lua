--[[
volley.lua - Volley for Wireshark and tshark 4.0 and later, written from SPEC.md alone.

    tshark -X lua_script:proto/volley.lua -o volley.keylog:FILE -r capture.pcapng
    wireshark -X lua_script:proto/volley.lua            (keylog: Preferences, Protocols, VOLLEY)

Everything in clear is shown: the packets of SPEC 2, the handshake of 3, the records of 13. What is sealed is opened with
the key log that `--keylog FILE` writes (SPEC appendix B); the environment variable VOLLEY_KEYLOG names
it as well. Every tag is verified; what does not verify is not shown as frames.

Wireshark hands no cipher to Lua, so AES-GCM and ChaCha20-Poly1305 stand here: good for reading captures, some
milliseconds a packet, and not for anything that must not be observed.

A capture on the sender's own machine may show a whole batch of equally long packets as one datagram, as the kernel
was given it; it is cut up again.
]]

local band, bor, bxor = bit32.band, bit32.bor, bit32.bxor
local lshift, rshift, lrotate, rrotate = bit32.lshift, bit32.rshift, bit32.lrotate, bit32.rrotate
local extract = bit32.extract
local byte, char, concat, floor = string.byte, string.char, table.concat, math.floor

local PORT = 7711
local TAG = 16

local proto = Proto("volley", "Volley")

-- ---- names and numbers of SPEC ----

local HELLO, RETRY, ACCEPT, FINISH, VERSIONS, UNKNOWN, REFUSE = 1, 2, 3, 4, 5, 6, 7
local packet_names = {
    [HELLO] = "HELLO", [RETRY] = "RETRY", [ACCEPT] = "ACCEPT", [FINISH] = "FINISH", [VERSIONS] = "VERSIONS",
    [UNKNOWN] = "UNKNOWN", [REFUSE] = "REFUSE", [0x40] = "DATA", [0x41] = "DATA",
}
local PLAIN, AES, CHACHA, AES_128 = 1, 2, 3, 4
local suite_names = {[PLAIN] = "plain", [AES] = "aes-256-gcm", [CHACHA] = "chacha20-poly1305",
    [AES_128] = "aes-128-gcm"}
local KEYS, PSK, CODE = 1, 2, 3
local method_names = {[KEYS] = "keys", [PSK] = "psk", [CODE] = "code"}
local parameter_names = {
    [1] = "max_data", [2] = "max_stream_data", [3] = "max_streams", [4] = "idle_timeout", [5] = "max_ack_delay",
    [6] = "max_datagram", [7] = "reset_token", [8] = "application",
}
local frame_names = {
    [0x00] = "PADDING", [0x01] = "PING", [0x02] = "ACK", [0x03] = "ACK_ECN", [0x05] = "FLOOR", [0x08] = "STREAM",
    [0x09] = "STREAM_FIN", [0x10] = "RESET_STREAM", [0x11] = "STOP_SENDING", [0x12] = "MAX_DATA",
    [0x13] = "MAX_STREAM_DATA", [0x14] = "MAX_STREAMS", [0x18] = "PATH_CHALLENGE", [0x19] = "PATH_RESPONSE",
    [0x1c] = "CLOSE", [0x1d] = "CLOSE_APP",
}
local close_names = {
    [0] = "NO_ERROR", "INTERNAL", "PROTOCOL_VIOLATION", "FRAME_ENCODING", "FLOW_CONTROL", "STREAM_LIMIT",
    "STREAM_STATE", "FINAL_SIZE", "NO_MEMORY", "PARAMETER", "SUITE", "APPLICATION", "BUSY", "TIMEOUT", "METHOD",
    "AUTH", "KEY_UPDATE", "AEAD_LIMIT", "ACCESS",
}
local record_names = {"DATA", "RESET", "STOP", "CREDIT", "PING", "PONG", "CLOSE"}
local OPENED, CHECKED, BAD, NO_KEY = 1, 2, 3, 4
local tag_names = {
    [OPENED] = "verified with the key log", [CHECKED] = "verified", [BAD] = "does not verify",
    [NO_KEY] = "no key in the key log",
}

-- ---- fields ----

local f = {}

local function field(make, name, text, ...)
    f[name] = make("volley." .. name, text, ...)
end

field(ProtoField.uint8, "type", "Packet", base.HEX, packet_names)
field(ProtoField.uint32, "version", "Version", base.HEX)
field(ProtoField.uint64, "client_cid", "Client connection id", base.HEX)
field(ProtoField.uint64, "server_cid", "Server connection id", base.HEX)
field(ProtoField.uint64, "cid", "Connection id", base.HEX)
field(ProtoField.uint8, "suite", "Suite", base.HEX, suite_names)
field(ProtoField.bytes, "cookie", "Cookie")
field(ProtoField.uint8, "handshake.method", "Method", base.DEC, method_names)
field(ProtoField.bytes, "handshake.ephemeral", "Ephemeral public key")
field(ProtoField.bytes, "handshake.static", "Static public key, sealed")
field(ProtoField.bytes, "handshake.session", "Session")
field(ProtoField.bytes, "handshake.share", "Share of CPace")
field(ProtoField.bytes, "handshake.payload", "Payload, sealed")
field(ProtoField.uint64, "parameter.id", "Parameter", base.HEX)
field(ProtoField.uint64, "parameter.value", "Value")
field(ProtoField.bytes, "parameter.bytes", "Value")
field(ProtoField.string, "parameter.text", "Value")
field(ProtoField.bytes, "reset_token", "Reset token")
field(ProtoField.bytes, "padding", "Padding")
field(ProtoField.uint8, "phase", "Key phase")
field(ProtoField.uint64, "pn", "Packet number")
field(ProtoField.bytes, "sealed", "Sealed")
field(ProtoField.bytes, "tag", "Tag")
field(ProtoField.uint8, "tag.status", "Tag", base.DEC, tag_names)
field(ProtoField.uint64, "generation", "Key generation")
field(ProtoField.uint8, "frame.type", "Frame", base.HEX, frame_names)
field(ProtoField.uint32, "frame.bytes", "Frame's length")
field(ProtoField.uint64, "ack.largest", "Largest")
field(ProtoField.uint64, "ack.delay", "Delay (us)")
field(ProtoField.uint64, "ack.kernel_drops", "Kernel drops")
field(ProtoField.uint64, "ack.count", "Further ranges")
field(ProtoField.string, "ack.range", "Range")
field(ProtoField.uint64, "ack.ect0", "ECT(0)")
field(ProtoField.uint64, "ack.ect1", "ECT(1)")
field(ProtoField.uint64, "ack.ce", "CE")
field(ProtoField.uint64, "floor", "Packet number")
field(ProtoField.uint64, "stream.id", "Stream")
field(ProtoField.uint64, "stream.offset", "Offset")
field(ProtoField.uint64, "stream.length", "Length")
field(ProtoField.bytes, "stream.data", "Data")
field(ProtoField.uint64, "stream.final_size", "Final size")
field(ProtoField.uint64, "limit", "Limit")
field(ProtoField.bytes, "path.data", "Challenge")
field(ProtoField.uint64, "close.code", "Code", base.DEC, close_names)
field(ProtoField.uint64, "app_code", "Application's code")
field(ProtoField.string, "close.reason", "Reason")
field(ProtoField.uint32, "tcp.max_streams", "Streams open at a time")
field(ProtoField.uint32, "tcp.data_max", "Largest content of a record")
field(ProtoField.uint32, "tcp.idle_timeout", "Idle time-out (ms)")
field(ProtoField.uint64, "tcp.credit", "Credit of a new stream")
field(ProtoField.string, "tcp.application", "Application")
field(ProtoField.uint8, "record.type", "Record", base.HEX, record_names)
field(ProtoField.uint8, "record.flags", "Flags", base.HEX)
field(ProtoField.uint32, "record.length", "Length")
field(ProtoField.uint32, "block.length", "Length of the text")

proto.fields = f

local malformed = ProtoExpert.new("volley.malformed", "does not decode", expert.group.MALFORMED, expert.severity.ERROR)
local bad_tag = ProtoExpert.new("volley.bad_tag", "tag does not verify", expert.group.CHECKSUM, expert.severity.WARN)
proto.experts = {malformed, bad_tag}

proto.prefs.keylog = Pref.string("Key log", "", "File that `volley --keylog FILE` wrote; empty: the environment's VOLLEY_KEYLOG")

-- ---- words and bytes ----

local function words_be(s, at)
    local a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q = byte(s, at, at + 15)
    return a * 16777216 + b * 65536 + c * 256 + d, e * 16777216 + g * 65536 + h * 256 + i,
        j * 16777216 + k * 65536 + l * 256 + m, n * 16777216 + o * 65536 + p * 256 + q
end

local function words_le(s, at)
    local a, b, c, d, e, g, h, i, j, k, l, m, n, o, p, q = byte(s, at, at + 15)
    return d * 16777216 + c * 65536 + b * 256 + a, i * 16777216 + h * 65536 + g * 256 + e,
        m * 16777216 + l * 65536 + k * 256 + j, q * 16777216 + p * 65536 + o * 256 + n
end

local function word_be(w)
    return char(extract(w, 24, 8), extract(w, 16, 8), extract(w, 8, 8), extract(w, 0, 8))
end

local function word_le(w)
    return char(extract(w, 0, 8), extract(w, 8, 8), extract(w, 16, 8), extract(w, 24, 8))
end

-- To a multiple of 16 bytes.
local function pad16(s)
    return s .. ("\0"):rep(-#s % 16)
end

local function unhex(text)
    return (text:gsub("%x%x", function(pair) return char(tonumber(pair, 16)) end))
end

-- IV XOR packet number, SPEC 2.1. `number`: its eight bytes.
local function nonce_of(iv, number)
    local out = {iv:sub(1, 4)}
    for i = 1, 8 do
        out[#out + 1] = char(bxor(byte(iv, 4 + i), byte(number, i)))
    end
    return concat(out)
end

-- ---- CRC32C, SPEC 2.1 ----

local crc_table = {}
for i = 0, 255 do
    local c = i
    for _ = 1, 8 do
        c = band(c, 1) == 1 and bxor(rshift(c, 1), 0x82f63b78) or rshift(c, 1)
    end
    crc_table[i] = c
end

local function crc32c(s)
    local c = 0xffffffff
    for i = 1, #s do
        c = bxor(rshift(c, 8), crc_table[band(bxor(c, byte(s, i)), 255)])
    end
    return bxor(c, 0xffffffff)
end

-- Whether `packet`, with its tag, has that of suite plain.
local function plain_verifies(packet)
    local n = #packet
    return n > TAG and packet:sub(-12) == ("\0"):rep(12) and
        packet:sub(n - 15, n - 12) == word_be(crc32c(packet:sub(1, n - TAG)))
end

-- ---- AES-128 and AES-256 (FIPS 197) ----

local sbox, T0, T1, T2, T3 = {}, {}, {}, {}, {}

local function xtime(a)
    return a < 128 and a * 2 or bxor(a * 2, 0x11b)
end

do
    local p, q = 1, 1 -- all elements, by powers of 3, and their inverses
    repeat
        p = bxor(p, xtime(p))
        q = bxor(q, q * 2 % 256)
        q = bxor(q, q * 4 % 256)
        q = bxor(q, q * 16 % 256)
        if q >= 128 then q = bxor(q, 9) end
        local rotations = bxor(q, q * 2, q * 4, q * 8, q * 16)
        sbox[p] = bxor(band(rotations, 255), rshift(rotations, 8), 0x63)
    until p == 1
    sbox[0] = 0x63
    for i = 0, 255 do
        local s = sbox[i]
        local s2 = xtime(s)
        T0[i] = s2 * 16777216 + s * 65536 + s * 256 + bxor(s2, s)
        T1[i], T2[i], T3[i] = rrotate(T0[i], 8), rrotate(T0[i], 16), rrotate(T0[i], 24)
    end
end

local function sub_word(w)
    return sbox[extract(w, 24, 8)] * 16777216 + sbox[extract(w, 16, 8)] * 65536 + sbox[extract(w, 8, 8)] * 256 +
        sbox[extract(w, 0, 8)]
end

-- The words of the key schedule, from 1: 44 for a key of 16 bytes, 60 for one of 32.
local function aes_schedule(key)
    local w = {}
    local rcon = 1
    local n = #key / 4
    for i = 1, n, 4 do w[i], w[i + 1], w[i + 2], w[i + 3] = words_be(key, 4 * i - 3) end
    for i = n + 1, 4 * (n + 7) do
        local t = w[i - 1]
        if i % n == 1 then
            t = bxor(sub_word(lrotate(t, 8)), rcon * 16777216)
            rcon = xtime(rcon)
        elseif n == 8 and i % 8 == 5 then
            t = sub_word(t)
        end
        w[i] = bxor(w[i - n], t)
    end
    return w
end

local function aes_block(w, a, b, c, d)
    a, b, c, d = bxor(a, w[1]), bxor(b, w[2]), bxor(c, w[3]), bxor(d, w[4])
    local n = #w
    for i = 5, n - 7, 4 do
        a, b, c, d =
            bxor(T0[extract(a, 24, 8)], T1[extract(b, 16, 8)], T2[extract(c, 8, 8)], T3[extract(d, 0, 8)], w[i]),
            bxor(T0[extract(b, 24, 8)], T1[extract(c, 16, 8)], T2[extract(d, 8, 8)], T3[extract(a, 0, 8)], w[i + 1]),
            bxor(T0[extract(c, 24, 8)], T1[extract(d, 16, 8)], T2[extract(a, 8, 8)], T3[extract(b, 0, 8)], w[i + 2]),
            bxor(T0[extract(d, 24, 8)], T1[extract(a, 16, 8)], T2[extract(b, 8, 8)], T3[extract(c, 0, 8)], w[i + 3])
    end
    local function last(p, q, r, s, k)
        return bxor(sbox[extract(p, 24, 8)] * 16777216 + sbox[extract(q, 16, 8)] * 65536 +
            sbox[extract(r, 8, 8)] * 256 + sbox[extract(s, 0, 8)], k)
    end
    return last(a, b, c, d, w[n - 3]), last(b, c, d, a, w[n - 2]), last(c, d, a, b, w[n - 1]), last(d, a, b, c, w[n])
end

-- ---- GCM (NIST SP 800-38D) ----

-- What a byte shifted out at the right end brings back at the left.
local ghash_reduce = {}
for i = 0, 255 do
    local low, high = i, 0
    for _ = 1, 8 do
        local out = band(low, 1)
        low, high = rshift(low, 1), rshift(high, 1)
        if out == 1 then high = bxor(high, 0xe1000000) end
    end
    ghash_reduce[i] = high
end

-- The products of H with every byte in the leftmost place, as four tables of words.
local function ghash_tables(h0, h1, h2, h3)
    local m = {{[0] = 0}, {[0] = 0}, {[0] = 0}, {[0] = 0}}
    local bit = 128
    while bit >= 1 do
        m[1][bit], m[2][bit], m[3][bit], m[4][bit] = h0, h1, h2, h3
        local out = band(h3, 1)
        h3 = bor(rshift(h3, 1), lshift(h2, 31))
        h2 = bor(rshift(h2, 1), lshift(h1, 31))
        h1 = bor(rshift(h1, 1), lshift(h0, 31))
        h0 = bxor(rshift(h0, 1), out == 1 and 0xe1000000 or 0)
        bit = bit / 2
    end
    bit = 2
    while bit <= 128 do
        for low = 1, bit - 1 do
            for t = 1, 4 do m[t][bit + low] = bxor(m[t][bit], m[t][low]) end
        end
        bit = bit * 2
    end
    return m
end

-- GHASH over `data`, whose length is a multiple of 16.
local function ghash(m, data)
    local m0, m1, m2, m3 = m[1], m[2], m[3], m[4]
    local z0, z1, z2, z3 = 0, 0, 0, 0
    for at = 1, #data, 16 do
        local a, b, c, d = words_be(data, at)
        local y = {bxor(a, z0), bxor(b, z1), bxor(c, z2), bxor(d, z3)}
        z0, z1, z2, z3 = 0, 0, 0, 0
        for word = 4, 1, -1 do
            local w = y[word]
            for _ = 1, 4 do
                local b, out = w % 256, z3 % 256
                local low0, low1, low2 = z0 % 256, z1 % 256, z2 % 256
                z3 = bxor((z3 - out) / 256 + low2 * 16777216, m3[b])
                z2 = bxor((z2 - low2) / 256 + low1 * 16777216, m2[b])
                z1 = bxor((z1 - low1) / 256 + low0 * 16777216, m1[b])
                z0 = bxor((z0 - low0) / 256, ghash_reduce[out], m0[b])
                w = (w - b) / 256
            end
        end
    end
    return z0, z1, z2, z3
end

local gcm = {}

function gcm.init(key)
    local schedule = aes_schedule(key)
    return {schedule = schedule, tables = ghash_tables(aes_block(schedule, 0, 0, 0, 0))}
end

-- Returns the text, or nil when the tag does not verify.
function gcm.open(ctx, nonce, head, sealed, tag)
    local n0, n1, n2 = words_be(nonce .. "\0\0\0\1", 1)
    local s0, s1, s2, s3 = ghash(ctx.tables, pad16(head) .. pad16(sealed) ..
        word_be(0) .. word_be(#head * 8) .. word_be(0) .. word_be(#sealed * 8))
    local k0, k1, k2, k3 = aes_block(ctx.schedule, n0, n1, n2, 1)
    if word_be(bxor(s0, k0)) .. word_be(bxor(s1, k1)) .. word_be(bxor(s2, k2)) .. word_be(bxor(s3, k3)) ~= tag then
        return nil
    end
    local padded, out = pad16(sealed), {}
    for at = 1, #padded, 16 do
        local a, b, c, d = words_be(padded, at)
        k0, k1, k2, k3 = aes_block(ctx.schedule, n0, n1, n2, 2 + (at - 1) / 16)
        out[#out + 1] = word_be(bxor(a, k0)) .. word_be(bxor(b, k1)) .. word_be(bxor(c, k2)) .. word_be(bxor(d, k3))
    end
    return concat(out):sub(1, #sealed)
end

local gcm_128 = {open = gcm.open}

function gcm_128.init(key)
    return gcm.init(key:sub(1, 16))
end

-- ---- ChaCha20-Poly1305 (RFC 8439) ----

local function quarter(s, a, b, c, d)
    local va, vb, vc, vd = s[a], s[b], s[c], s[d]
    va = (va + vb) % 4294967296
    vd = lrotate(bxor(vd, va), 16)
    vc = (vc + vd) % 4294967296
    vb = lrotate(bxor(vb, vc), 12)
    va = (va + vb) % 4294967296
    vd = lrotate(bxor(vd, va), 8)
    vc = (vc + vd) % 4294967296
    s[a], s[b], s[c], s[d] = va, lrotate(bxor(vb, vc), 7), vc, vd
end

-- The 64 bytes of key stream of one block, as 16 words.
local function chacha_block(start, counter)
    local s = {}
    start[13] = counter
    for i = 1, 16 do s[i] = start[i] end
    for _ = 1, 10 do
        quarter(s, 1, 5, 9, 13)
        quarter(s, 2, 6, 10, 14)
        quarter(s, 3, 7, 11, 15)
        quarter(s, 4, 8, 12, 16)
        quarter(s, 1, 6, 11, 16)
        quarter(s, 2, 7, 12, 13)
        quarter(s, 3, 8, 9, 14)
        quarter(s, 4, 5, 10, 15)
    end
    for i = 1, 16 do s[i] = (s[i] + start[i]) % 4294967296 end
    return s
end

-- 128 bits as limbs of 22 bits; products of two and sums of a few stay exact in a double.
local function limbs(w0, w1, w2, w3)
    return {w0 % 4194304, floor(w0 / 4194304) + w1 % 4096 * 1024, floor(w1 / 4096) + w2 % 4 * 1048576,
        floor(w2 / 4) % 4194304, floor(w2 / 16777216) + w3 % 16384 * 256, floor(w3 / 16384)}
end

-- Carries; what passes 2^132 comes back times 20 (2^130 is 5).
local function carry(h)
    local over = 0
    for i = 1, 6 do
        local v = h[i] + over
        over = floor(v / 4194304)
        h[i] = v - over * 4194304
    end
    h[1] = h[1] + over * 20
end

-- `data`: a multiple of 16 bytes; `key`: eight words.
local function poly1305(key, data)
    local r = limbs(band(key[1], 0x0fffffff), band(key[2], 0x0ffffffc), band(key[3], 0x0ffffffc), band(key[4], 0x0ffffffc))
    local h = {0, 0, 0, 0, 0, 0}
    for at = 1, #data, 16 do
        local m, product = limbs(words_le(data, at)), {}
        m[6] = m[6] + 262144 -- 2^128
        for i = 1, 6 do h[i] = h[i] + m[i] end
        for k = 1, 6 do
            local sum, wrapped = 0, 0
            for i = 1, k do sum = sum + h[i] * r[k + 1 - i] end
            for i = k + 1, 6 do wrapped = wrapped + h[i] * r[k + 7 - i] end
            product[k] = sum + 20 * wrapped
        end
        h = product
        carry(h)
    end
    carry(h)
    for _ = 1, 2 do -- below 2^130, then below 2^130 - 5
        local top = floor(h[6] / 1048576)
        h[6] = h[6] % 1048576
        h[1] = h[1] + 5 * top
        carry(h)
    end
    local g = {h[1] + 5, h[2], h[3], h[4], h[5], h[6]}
    carry(g)
    if g[6] >= 1048576 then
        g[6] = g[6] - 1048576
        h = g
    end
    local w = {h[1] + h[2] % 1024 * 4194304, floor(h[2] / 1024) + h[3] % 1048576 * 4096,
        floor(h[3] / 1048576) + h[4] * 4 + h[5] % 256 * 16777216, floor(h[5] / 256) + h[6] % 262144 * 16384}
    local out, over = {}, 0
    for i = 1, 4 do
        local v = w[i] + key[4 + i] + over
        over = floor(v / 4294967296)
        out[i] = word_le(v % 4294967296)
    end
    return concat(out)
end

local chacha = {}

function chacha.init(key)
    local s = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}
    s[5], s[6], s[7], s[8] = words_le(key, 1)
    s[9], s[10], s[11], s[12] = words_le(key, 17)
    return s
end

function chacha.open(s, nonce, head, sealed, tag)
    local _
    _, s[14], s[15], s[16] = words_le("\0\0\0\0" .. nonce, 1)
    local lengths = word_le(#head) .. word_le(0) .. word_le(#sealed) .. word_le(0)
    if poly1305(chacha_block(s, 0), pad16(head) .. pad16(sealed) .. lengths) ~= tag then
        return nil
    end
    local padded, out, stream = pad16(sealed), {}, nil
    for at = 1, #padded, 16 do
        local i = (at - 1) % 64 / 4
        if i == 0 then stream = chacha_block(s, 1 + (at - 1) / 64) end
        local a, b, c, d = words_le(padded, at)
        out[#out + 1] = word_le(bxor(a, stream[i + 1])) .. word_le(bxor(b, stream[i + 2])) ..
            word_le(bxor(c, stream[i + 3])) .. word_le(bxor(d, stream[i + 4]))
    end
    return concat(out):sub(1, #sealed)
end

local ciphers = {[AES] = gcm, [CHACHA] = chacha, [AES_128] = gcm_128}

-- ---- the key log ----

local keys = {}      -- of a connection id (16 hex digits): {generation, suite, key, iv}
local keylog_at = {} -- what of which file has been read

-- "VOLLEY1 <connection id> <suite> <generation> <key> <iv>"
local function keylog_line(line)
    local cid, suite, generation, key, iv = line:match("^VOLLEY1 (%x+) (%d+) (%d+) (%x+) (%x+)%s*$")
    if cid == nil or #cid ~= 16 or #key ~= 64 or #iv ~= 24 or ciphers[tonumber(suite)] == nil then
        return
    end
    cid = cid:lower()
    keys[cid] = keys[cid] or {}
    table.insert(keys[cid], 1, {
        generation = tonumber(generation), cipher = ciphers[tonumber(suite)], suite = tonumber(suite),
        key = unhex(key), iv = unhex(iv),
    })
end

-- Reads what the file has grown by: during a live capture it is still being written.
local function keylog_read()
    local path = proto.prefs.keylog
    if path == nil or path == "" then path = os.getenv("VOLLEY_KEYLOG") end
    local file = path and io.open(path, "rb")
    if not file then return end
    if keylog_at.path ~= path then
        keys, keylog_at = {}, {path = path, bytes = 0}
    end
    file:seek("set", keylog_at.bytes)
    for line in (file:read("*a") or ""):gmatch("[^\n]*\n") do
        keylog_line(line:sub(1, -2))
        keylog_at.bytes = keylog_at.bytes + #line
    end
    file:close()
end

-- A key that opens the packet goes to the front: the next packet probably has the same.
local function open_with(cid, phase, number, head, sealed, tag)
    for i, k in ipairs(keys[cid] or {}) do
        if k.generation % 2 == phase then
            k.ctx = k.ctx or k.cipher.init(k.key)
            local text = k.cipher.open(k.ctx, nonce_of(k.iv, number), head, sealed, tag)
            if text ~= nil then
                table.insert(keys[cid], 1, table.remove(keys[cid], i))
                return text, k
            end
        end
    end
end

-- ---- reading fields ----

local CUT = {} -- raised where a field does not fit

local Reader = {}
Reader.__index = Reader

local function reader(tvb, at, stop)
    return setmetatable({tvb = tvb, at = at, stop = stop}, Reader)
end

function Reader:left()
    return self.stop - self.at
end

function Reader:range(n)
    if n > self:left() then error(CUT, 0) end
    self.at = self.at + n
    return self.tvb(self.at - n, n)
end

-- An integer of one to eight bytes; returns it as a number, and its item.
function Reader:int(tree, name, n)
    local r = self:range(n)
    return n > 4 and r:uint64():tonumber() or r:uint(), tree:add(f[name], r)
end

function Reader:bytes(tree, name, n)
    if n > 0 then tree:add(f[name], self:range(n)) end
end

-- SPEC 1.
function Reader:varint(tree, name)
    if self:left() < 1 then error(CUT, 0) end
    local n = 2 ^ rshift(self.tvb(self.at, 1):uint(), 6)
    local r = self:range(n)
    local value = n == 8 and r:uint64():band(UInt64(0xffffffff, 0x3fffffff)) or UInt64(r:uint() % 2 ^ (8 * n - 2))
    local item = name and tree:add(f[name], r, value)
    return value:tonumber(), item, value
end

function Reader:text(tree, name)
    local n = self:varint()
    if n > 0 then tree:add(f[name], self:range(n)) end
end

-- Runs `body`, which may run out of bytes; returns whether it did not.
local function attempt(tree, body)
    local ok, why = pcall(body)
    if not ok and why ~= CUT then error(why, 0) end
    if not ok then tree:add_proto_expert_info(malformed) end
    return ok
end

-- ---- frames, SPEC 4 ----

local function ack_ranges(r, item, tree)
    local largest, _, exact = r:varint(tree, "ack.largest")
    r:varint(tree, "ack.delay")
    r:varint(tree, "ack.kernel_drops")
    local count = r:varint(tree, "ack.count")
    local at = r.at
    local _, _, length = r:varint()
    local top = exact
    for i = 0, count do
        local bottom = top - length
        tree:add(f["ack.range"], r.tvb(at, r.at - at), tostring(bottom) .. ".." .. tostring(top))
        if i < count then
            at = r.at
            local _, _, gap = r:varint()
            _, _, length = r:varint()
            top = bottom - gap - UInt64(2)
        end
    end
    item:append_text(" " .. tostring(exact))
end

local function stream_frame(r, item, tree)
    local id = r:varint(tree, "stream.id")
    local _, _, offset = r:varint(tree, "stream.offset")
    local length = r:varint(tree, "stream.length")
    r:bytes(tree, "stream.data", length)
    item:append_text((" %d: %s + %d"):format(id, tostring(offset), length))
end

local function varints(...)
    local names = {...}
    return function(r, _, tree)
        for _, name in ipairs(names) do r:varint(tree, name) end
    end
end

local function nothing() end

local function path_frame(r, _, tree)
    tree:add(f["path.data"], r:range(8))
end

local frame_bodies = {
    [0x01] = nothing,
    [0x02] = ack_ranges,
    [0x03] = function(r, item, tree)
        ack_ranges(r, item, tree)
        varints("ack.ect0", "ack.ect1", "ack.ce")(r, item, tree)
    end,
    [0x05] = varints("floor"),
    [0x08] = stream_frame,
    [0x09] = stream_frame,
    [0x10] = varints("stream.id", "app_code", "stream.final_size"),
    [0x11] = varints("stream.id", "app_code"),
    [0x12] = varints("limit"),
    [0x13] = varints("stream.id", "limit"),
    [0x14] = varints("limit"),
    [0x18] = path_frame,
    [0x19] = path_frame,
    [0x1c] = function(r, _, tree)
        r:varint(tree, "close.code")
        r:text(tree, "close.reason")
    end,
    [0x1d] = function(r, _, tree)
        r:varint(tree, "app_code")
        r:text(tree, "close.reason")
    end,
}

-- PADDING is one item for a run of it, with its length.
local function padding_run(r)
    while r:left() > 0 and r.tvb(r.at, 1):uint() == 0 do r.at = r.at + 1 end
end

local function frames(r, tree, names)
    attempt(tree, function()
        while r:left() > 0 do
            local begin = r.at
            local kind, item = r:int(tree, "frame.type", 1)
            local body = frame_bodies[kind]
            if kind == 0 then
                padding_run(r)
            elseif body == nil then
                error(CUT, 0)
            else
                body(r, item, item)
            end
            item:set_len(r.at - begin)
            item:add(f["frame.bytes"], r.tvb(begin, r.at - begin), r.at - begin):set_generated()
            names[#names + 1] = frame_names[kind]
        end
    end)
end

-- ---- packets of the handshake, SPEC 2.3 to 2.8 and 3.1 ----

local conns = {} -- of a connection id (16 hex digits): {method = ...}

-- `n` bytes as they stand, for keys of tables and for ciphers.
local function raw(tvb, at, n)
    return tvb:raw(at, n)
end

local function hex_at(tvb, at)
    return (raw(tvb, at, 8):gsub(".", function(c) return ("%02x"):format(byte(c)) end))
end

local function conn_of(cid)
    conns[cid] = conns[cid] or {}
    return conns[cid]
end

-- A part of the packet that is `length` bytes long, as a reader and a branch of the tree.
local function part(r, tree, length_bytes, name)
    local length = r:range(length_bytes):uint()
    if length > r:left() then error(CUT, 0) end
    local begin = r.at
    r.at = begin + length
    return reader(r.tvb, begin, r.at), length > 0 and tree:add(r.tvb(begin, length), name) or nil
end

local function parameter(r, branch)
    local begin = r.at
    local id, item = r:varint(branch, "parameter.id")
    local length = r:range(1):uint()
    if length == 0 then
        return
    elseif id <= 6 then
        r:varint(item, "parameter.value")
    elseif id == 7 then
        r:bytes(item, "reset_token", length)
    else
        r:bytes(item, id == 8 and "parameter.text" or "parameter.bytes", length)
    end
    item:set_len(r.at - begin)
    item:append_text(" " .. (parameter_names[id] or "unknown"))
end

local function parameters(r, tree)
    local inner, branch = part(r, tree, 2, "Parameters")
    while branch and inner:left() > 0 do parameter(inner, branch) end
end

-- The n-th message of the handshake, SPEC 3.1; what is left is the payload.
local message_fields = {
    [KEYS] = {{"ephemeral", 32}, {"ephemeral", 32, "static", 48}, {"static", 48}},
    [PSK] = {{"ephemeral", 32}, {"ephemeral", 32}},
    [CODE] = {{"session", 16, "share", 32}, {"share", 32, "ephemeral", 32}, {"ephemeral", 32}},
}

local function message(r, branch, method, n)
    local list = message_fields[method] and message_fields[method][n] or {}
    for i = 1, #list, 2 do r:bytes(branch, "handshake." .. list[i], list[i + 1]) end
    r:bytes(branch, "handshake.payload", r:left())
end

local packets = {}

packets[HELLO] = function(r, tree)
    r:int(tree, "version", 4)
    local conn = conn_of(hex_at(r.tvb, r.at))
    r:int(tree, "client_cid", 8)
    local suites, branch = part(r, tree, 1, "Suites")
    while suites:left() > 0 do suites:int(branch, "suite", 1) end
    r:bytes(tree, "cookie", r:range(1):uint())
    local inner, handshake = part(r, tree, 2, "Handshake")
    if handshake then
        conn.method = inner:int(handshake, "handshake.method", 1)
        message(inner, handshake, conn.method, 1)
    end
    parameters(r, tree)
    r:bytes(tree, "padding", r:left())
end

packets[RETRY] = function(r, tree)
    r:int(tree, "client_cid", 8)
    r:bytes(tree, "cookie", r:range(1):uint())
end

packets[ACCEPT] = function(r, tree)
    local client = conn_of(hex_at(r.tvb, r.at))
    r:int(tree, "client_cid", 8)
    local server = conn_of(hex_at(r.tvb, r.at))
    r:int(tree, "server_cid", 8)
    r:int(tree, "version", 4)
    r:int(tree, "suite", 1)
    server.method = client.method
    local inner, handshake = part(r, tree, 2, "Handshake")
    if handshake then message(inner, handshake, client.method, 2) end
    parameters(r, tree)
end

packets[FINISH] = function(r, tree)
    local server = conn_of(hex_at(r.tvb, r.at))
    r:int(tree, "server_cid", 8)
    local inner, handshake = part(r, tree, 2, "Handshake")
    if handshake then message(inner, handshake, server.method, 3) end
end

packets[VERSIONS] = function(r, tree)
    r:int(tree, "client_cid", 8)
    local inner, branch = part(r, tree, 1, "Versions")
    while inner:left() > 0 do inner:int(branch, "version", 4) end
end

packets[UNKNOWN] = function(r, tree)
    r:int(tree, "server_cid", 8)
    r:bytes(tree, "reset_token", 16)
end

packets[REFUSE] = function(r, tree)
    r:int(tree, "client_cid", 8)
    r:varint(tree, "close.code")
    r:text(tree, "close.reason")
end

-- ---- a datagram ----

local function tag(tvb, tree, at, status)
    local item = tree:add(f["tag.status"], tvb(at, TAG), status)
    item:add(f["tag"], tvb(at, TAG))
    if status == BAD then item:add_proto_expert_info(bad_tag) end
end

-- Text as a tab of its own in the window.
local function text_tvb(text)
    return ByteArray.new(text, true):tvb("Opened")
end

-- SPEC 2.9. `plain`: whether the tag of suite plain verifies.
local function data_packet(tvb, tree, plain, names)
    local at, text, key = tvb:len() - TAG, nil, nil
    local phase, cid = tvb(0, 1):uint() % 2, hex_at(tvb, 1)
    conn_of(cid)
    tree:add(f["phase"], tvb(0, 1), phase)
    tree:add(f["cid"], tvb(1, 8))
    tree:add(f["pn"], tvb(9, 8))
    if plain then
        frames(reader(tvb, 17, at), tree, names)
        return tag(tvb, tree, at, CHECKED)
    end
    for attempt_no = 1, 2 do
        text, key = open_with(cid, phase, raw(tvb, 9, 8), raw(tvb, 0, 17), raw(tvb, 17, at - 17), raw(tvb, at, TAG))
        if text or attempt_no == 2 then break end
        keylog_read()
    end
    if text then
        tree:add(f["suite"], key.suite):set_generated()
        tree:add(f["generation"], UInt64(key.generation)):set_generated()
        frames(reader(text_tvb(text), 0, #text), tree, names)
    elseif at > 17 then
        tree:add(f["sealed"], tvb(17, at - 17))
    end
    tag(tvb, tree, at, text and OPENED or keys[cid] and BAD or NO_KEY)
end

local function is_data(kind)
    return kind == 0x40 or kind == 0x41
end

local function datagram(tvb, pinfo, root, plain)
    local kind = tvb(0, 1):uint()
    local tree = root:add(proto, tvb())
    local names = {}
    pinfo.cols.protocol = "Volley"
    tree:add(f["type"], tvb(0, 1))
    tree:append_text(", " .. packet_names[kind])
    if is_data(kind) then
        data_packet(tvb, tree, plain, names)
        pinfo.cols.info:append(("DATA %s %s "):format(tostring(tvb(9, 8):uint64()), concat(names, " ")))
        return
    end
    attempt(tree, function() packets[kind](reader(tvb, 1, tvb:len() - TAG), tree) end)
    tag(tvb, tree, tvb:len() - TAG, plain and CHECKED or BAD)
    pinfo.cols.info:append(packet_names[kind])
end

local SMALLEST, SMALLEST_DATA = 27, 17 + 1 + TAG

local function could_be(tvb)
    if tvb:len() < SMALLEST or tvb:len() ~= tvb:reported_len() then return false end
    local kind = tvb(0, 1):uint()
    return packet_names[kind] ~= nil and (not is_data(kind) or tvb:len() >= SMALLEST_DATA)
end

-- The length of the first packet of a batch: the next one has the same connection id.
local function first_length(bytes)
    local at = is_data(byte(bytes, 1)) and bytes:find(bytes:sub(2, 9), SMALLEST_DATA + 2, true)
    return at and is_data(byte(bytes, at - 1)) and at - 2 or #bytes
end

local function batch(tvb, pinfo, root, bytes)
    local length = first_length(bytes)
    pinfo.cols.info = ""
    for at = 0, #bytes - 1, length do
        local one = tvb(at, math.min(length, #bytes - at)):tvb()
        if could_be(one) then
            datagram(one, pinfo, root, plain_verifies(bytes:sub(at + 1, at + one:len())))
        end
    end
    return #bytes
end

function proto.dissector(tvb, pinfo, root)
    return could_be(tvb) and batch(tvb, pinfo, root, raw(tvb, 0, tvb:len())) or 0
end

-- On any port: a tag that verifies, or an id that is known from an ACCEPT or the key log.
proto:register_heuristic("udp", function(tvb, pinfo, root)
    if not could_be(tvb) then return false end
    local bytes, cid = raw(tvb, 0, tvb:len()), hex_at(tvb, 1)
    if not (is_data(byte(bytes, 1)) and (conns[cid] or keys[cid])) and
        not plain_verifies(bytes:sub(1, first_length(bytes))) then
        return false
    end
    batch(tvb, pinfo, root, bytes)
    return true
end)

-- ---- over TCP, SPEC 13 ----

local tcp = Proto("volley_tcp", "Volley over TCP")
local MAGIC = "VOLLEY\r\n"
local PREFACE, RECORD = 64, 16

local ways = {} -- of a direction: what follows its preface

local function way_of(pinfo)
    local name = ("%s:%d>%s:%d"):format(tostring(pinfo.src), pinfo.src_port, tostring(pinfo.dst), pinfo.dst_port)
    local back = ("%s:%d>%s:%d"):format(tostring(pinfo.dst), pinfo.dst_port, tostring(pinfo.src), pinfo.src_port)
    ways[name] = ways[name] or {}
    ways[name].is_server = ways[back] ~= nil and ways[back].is_client
    ways[name].back = ways[back]
    return ways[name]
end

local function preface_length(tvb, at)
    return tvb:len() - at >= 12 and PREFACE + tvb(at + 10, 2):uint() or nil
end

local function preface(tvb, at, length, tree, way)
    local r = reader(tvb, at + 8, at + length)
    local branch = tree:add(tvb(at, length), "Preface")
    if not way.is_server then way.is_client = true end
    r:range(1)
    r:int(branch, "suite", 1)
    r:range(2)
    r:int(branch, "tcp.max_streams", 4)
    r:int(branch, "tcp.data_max", 4)
    r:int(branch, "tcp.idle_timeout", 4)
    r:int(branch, "tcp.credit", 8)
    r:bytes(branch, "tcp.application", 32)
    way.sealed = r:left() > 0
    if not way.sealed then return end
    if way.is_client then
        local suites = part(r, branch, 1, "Suites")
        while suites:left() > 0 do suites:int(branch, "suite", 1) end
        way.method = r:int(branch, "handshake.method", 1)
        message(r, branch, way.method, 1)
    else
        message(r, branch, way.back and way.back.method, 2)
    end
end

local function record_length(tvb, at)
    return tvb:len() - at >= 8 and RECORD + tvb(at + 4, 4):uint() or nil
end

local function record(tvb, at, length, tree, _, names)
    local r = reader(tvb, at, at + length)
    local kind, item = r:int(tree, "record.type", 1)
    item:set_len(length)
    r:int(item, "record.flags", 1)
    r:range(2)
    r:int(item, "record.length", 4)
    r:int(item, "stream.id", 8)
    if kind == 1 then
        r:bytes(item, "stream.data", r:left())
    elseif kind == 2 or kind == 3 then
        r:int(item, "app_code", 8)
    elseif kind == 4 then
        r:int(item, "limit", 8)
    elseif kind == 7 then
        r:int(item, "close.code", 8)
        r:bytes(item, "close.reason", r:left())
    end
    names[#names + 1] = record_names[kind] or "?"
end

local function block_length(tvb, at)
    return tvb:len() - at >= 4 and 4 + tvb(at, 4):uint() + TAG or nil
end

local function block(tvb, at, length, tree, _, names)
    local branch = tree:add(tvb(at, length), "Block")
    branch:add(f["block.length"], tvb(at, 4))
    branch:add(f["sealed"], tvb(at + 4, length - 4 - TAG))
    branch:add(f["tag"], tvb(at + length - TAG, TAG))
    names[#names + 1] = "block"
end

local function finish_length(tvb, at)
    return tvb:len() - at >= 2 and 2 + tvb(at, 2):uint() or nil
end

local function finish(tvb, at, length, tree, way)
    message(reader(tvb, at + 2, at + length), tree:add(tvb(at, length), "Third message"), way.method, 3)
end

-- Whether the third message begins here: it is what the client sends first behind its preface.
local function is_finish(way, pinfo, at)
    if not way.is_client or (way.method ~= KEYS and way.method ~= CODE) then return false end
    way.finish = way.finish or pinfo.number .. " " .. at
    return way.finish == pinfo.number .. " " .. at
end

local function kind_of(tvb, at, pinfo, way)
    if tvb:len() - at >= 8 and raw(tvb, at, 8) == MAGIC then
        return preface_length(tvb, at), preface
    elseif not way.sealed then
        return record_length(tvb, at), record
    elseif is_finish(way, pinfo, at) then
        return finish_length(tvb, at), finish
    end
    return block_length(tvb, at), block
end

function tcp.dissector(tvb, pinfo, root)
    local way, names, at = way_of(pinfo), {}, 0
    local tree = root:add(tcp, tvb())
    pinfo.cols.protocol = "Volley/TCP"
    while at < tvb:len() do
        local length, show = kind_of(tvb, at, pinfo, way)
        if length == nil or at + length > tvb:len() then
            pinfo.desegment_offset = at
            pinfo.desegment_len = length and at + length - tvb:len() or DESEGMENT_ONE_MORE_SEGMENT
            break
        end
        attempt(tree, function() show(tvb, at, length, tree, way, names) end)
        at = at + length
    end
    pinfo.cols.info = concat(names, " ")
    return tvb:len()
end

tcp:register_heuristic("tcp", function(tvb, pinfo, root)
    if tvb:len() < 12 or raw(tvb, 0, 8) ~= MAGIC then return false end
    pinfo.conversation = tcp
    tcp.dissector(tvb, pinfo, root)
    return true
end)

-- ---- a capture begins ----

function proto.init()
    conns, ways, keys, keylog_at = {}, {}, {}, {}
    keylog_read()
end

DissectorTable.get("udp.port"):add(PORT, proto)
DissectorTable.get("tcp.port"):add(PORT, tcp)
