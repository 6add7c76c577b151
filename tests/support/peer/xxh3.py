"""XXH3-128 with seed 0 and the default secret, as xxHash's doc/xxhash_spec.md describes it.

Python's integers do not overflow. That helps: the eight accumulators of a long input only ever grow
within a block, so they are cut back to 64 bits once per block and not after each addition.
"""

from operator import xor
from struct import unpack, unpack_from

M32, M64 = (1 << 32) - 1, (1 << 64) - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F
P64_3, P64_4, P64_5 = 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
MIX_1, MIX_2 = 0x165667919E3779F9, 0x9FB21C651E98DF25

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")

STRIPE, BLOCK = 64, 1024  # bytes: eight lanes of eight, sixteen stripes
# The secret words that meet the 128 words of a block: stripe s starts eight bytes further on than s - 1.
BLOCK_KEYS = [word for s in range(16) for word in unpack_from("<8Q", SECRET, 8 * s)]
LAST_KEYS = unpack_from("<8Q", SECRET, len(SECRET) - 71)
SCRAMBLE_KEYS = unpack_from("<8Q", SECRET, len(SECRET) - 64)


def words(data, offset, count):
    """`count` little-endian 64-bit words."""
    return unpack_from(f"<{count}Q", data, offset)


def bswap(value, size):
    return int.from_bytes(value.to_bytes(size, "little"), "big")


def fold(a, b):
    """The 128-bit product, its halves combined."""
    product = a * b
    return (product & M64) ^ (product >> 64)


def avalanche(x):
    x &= M64
    x = (x ^ x >> 37) * MIX_1 & M64
    return x ^ x >> 32


def avalanche_xxh64(x):
    x = (x ^ x >> 33) * P64_2 & M64
    x = (x ^ x >> 29) * P64_3 & M64
    return x ^ x >> 32


def hash_0_to_16(data):
    """Returns (low, high) as do the others."""
    n = len(data)
    if n == 0:
        s = words(SECRET, 64, 4)
        return avalanche_xxh64(s[0] ^ s[1]), avalanche_xxh64(s[2] ^ s[3])
    if n <= 3:
        s = unpack_from("<4I", SECRET)
        mixed = data[-1] | n << 8 | data[0] << 16 | data[n >> 1] << 24
        turned = bswap(mixed, 4)
        turned = (turned << 13 | turned >> 19) & M32
        return avalanche_xxh64(s[0] ^ s[1] ^ mixed), avalanche_xxh64(s[2] ^ s[3] ^ turned)
    if n <= 8:
        s = words(SECRET, 16, 2)
        first, last = unpack("<I", data[:4])[0], unpack("<I", data[-4:])[0]
        product = (s[0] ^ s[1] ^ (first | last << 32)) * (P64_1 + (n << 2))
        low, high = product & M64, product >> 64
        high = (high + (low << 1)) & M64
        low ^= high >> 3
        low = (low ^ low >> 35) * MIX_2 & M64
        return low ^ low >> 28, avalanche(high)
    s = words(SECRET, 32, 4)
    first, last = words(data, 0, 1)[0], words(data, n - 8, 1)[0]
    a, b = s[0] ^ s[1] ^ first ^ last, s[2] ^ s[3] ^ last
    product = a * P64_1
    low = (product + (n - 1 << 54)) & M64
    high = ((product >> 64) + (b >> 32 << 32) + (b & M32) * P32_2) & M64
    low ^= bswap(high, 8)
    product = low * P64_2
    return avalanche(product), avalanche((product >> 64) + high * P64_2)


def hash_17_to_240(data):
    n = len(data)
    low, high = n * P64_1 & M64, 0

    def mix(offset_1, offset_2, key):
        """Two pieces of 16 bytes with 32 bytes of the secret."""
        nonlocal low, high
        a, b, k = words(data, offset_1, 2), words(data, offset_2, 2), words(SECRET, key, 4)
        low = (low + fold(a[0] ^ k[0], a[1] ^ k[1]) & M64) ^ (b[0] + b[1] & M64)
        high = (high + fold(b[0] ^ k[2], b[1] ^ k[3]) & M64) ^ (a[0] + a[1] & M64)

    if n <= 128:  # from both ends towards the middle
        for i in reversed(range((n - 1) // 32 + 1)):
            mix(16 * i, n - 16 * i - 16, 32 * i)
    else:
        for i in range(4):
            mix(32 * i, 32 * i + 16, 32 * i)
        low, high = avalanche(low), avalanche(high)
        for i in range(4, n // 32):
            mix(32 * i, 32 * i + 16, 32 * (i - 4) + 3)
        mix(n - 16, n - 32, 103)
    return avalanche(low + high), -avalanche(low * P64_1 + high * P64_4 + n * P64_2) & M64


def accumulate(acc, lanes, keys):
    """Adds whole stripes; `lanes` holds their words one stripe after the other."""
    products = [(k & M32) * (k >> 32) for k in map(xor, lanes, keys)]
    for i in range(8):
        acc[i] = (acc[i] + sum(products[i::8]) + sum(lanes[i ^ 1::8])) & M64


def hash_long(data):
    n = len(data)
    acc = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
    whole = (n - 1) // BLOCK  # the last block is never a whole one, even when it is full
    for block in range(whole):
        accumulate(acc, words(data, block * BLOCK, BLOCK // 8), BLOCK_KEYS)
        acc = [(a ^ a >> 47 ^ key) * P32_1 & M64 for a, key in zip(acc, SCRAMBLE_KEYS)]
    stripes = (n - whole * BLOCK - 1) // STRIPE
    accumulate(acc, words(data, whole * BLOCK, 8 * stripes), BLOCK_KEYS)
    accumulate(acc, words(data, n - STRIPE, 8), LAST_KEYS)

    def merge(start, key):
        s = words(SECRET, key, 8)
        return avalanche(start + sum(fold(acc[i] ^ s[i], acc[i + 1] ^ s[i + 1]) for i in (0, 2, 4, 6)))

    return merge(n * P64_1, 11), merge(~(n * P64_2) & M64, len(SECRET) - 75)


def xxh3_128(data):
    """The canonical form: 16 bytes, the high half first, each half big-endian."""
    n = len(data)
    low, high = (hash_0_to_16 if n <= 16 else hash_17_to_240 if n <= 240 else hash_long)(data)
    return (high << 64 | low).to_bytes(16, "big")
