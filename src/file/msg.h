/*
 * msg - the messages of the control stream, SPEC 10.1: one table, encoded and decoded by it.
 *
 * Pure: bytes to struct and back. What a message means, and whether it is in place, is for server
 * and client to say. Cost: linear in the message; no allocation.
 */
#ifndef VLY_FILE_MSG_H
#define VLY_FILE_MSG_H

#include <volley/base.h>

#define VLY_MSG_BODY_MAX 65536u
#define VLY_MSG_MAX (1u + 8u + VLY_MSG_BODY_MAX) /* with the longest encoding of its length */
#define VLY_MSG_HASHES_MAX 1024u
#define VLY_MSG_TEXT_MAX 512u /* of an ERROR that we send */
#define VLY_FILE_VERSION 1u
#define VLY_SIZE_UNKNOWN ((UINT64_C(1) << 62) - 1)

/* X(NAME, type, sender, fields); one letter a field, in wire order:
 *   v version  r request  s stream  l recursive  f flags  k kind  z size  m mode  t mtime
 *   p path  h hashes (first, count, count * 16 bytes)  e root  c code  x text */
#define VLY_MESSAGES(X)              \
    X(START, 0x01, BOTH, "v")        \
    X(LIST, 0x10, CLIENT, "rlp")     \
    X(GET, 0x11, CLIENT, "rsp")      \
    X(PUT, 0x12, CLIENT, "rsfzmtp")  \
    X(MKDIR, 0x13, CLIENT, "rmp")    \
    X(CANCEL, 0x14, CLIENT, "r")     \
    X(ENTRY, 0x20, SERVER, "rkzmtp") \
    X(INFO, 0x21, SERVER, "rzmt")    \
    X(READY, 0x22, SERVER, "r")      \
    X(HASHES, 0x30, BOTH, "rh")      \
    X(END, 0x31, BOTH, "rze")        \
    X(DONE, 0x32, BOTH, "r")         \
    X(ERROR, 0x33, BOTH, "rcx")

enum vly_msg_type {
#define X(name, type, sender, fields) VLY_MSG_##name = (type),
    VLY_MESSAGES(X)
#undef X
};

enum vly_msg_flags { VLY_PUT_REPLACE = 1, VLY_PUT_MAKE_PARENTS = 2 };
enum vly_msg_kind { VLY_KIND_FILE = 1, VLY_KIND_DIRECTORY = 2, VLY_KIND_OTHER = 3 };

/* A message; only the fields of its type count. Spans borrow from what was decoded, or from the
 * caller. */
struct vly_msg {
    enum vly_msg_type type;
    uint64_t version;
    uint64_t request;
    uint64_t stream;
    uint8_t recursive;
    uint8_t flags; /* enum vly_msg_flags */
    uint8_t kind;  /* enum vly_msg_kind */
    uint64_t size;
    uint16_t mode; /* encoded and decoded: 0777 at most */
    int64_t mtime_ns;
    struct vly_span path;
    uint64_t first, count;  /* chunks */
    struct vly_span hashes; /* count * 16 bytes */
    uint8_t root[16];
    uint64_t code;
    struct vly_span text;
};

/* Writes `m` to `buf`; *len bytes. `cap` of VLY_MSG_MAX always does. Returns VLY_E_LIMIT when it
 * does not fit the buffer or VLY_MSG_BODY_MAX. */
VLY_MUST_USE int vly_msg_encode(const struct vly_msg *m, uint8_t *buf, size_t cap, size_t *len);

/* Reads the message that `in` begins with, *used bytes. Returns VLY_E_AGAIN when it is not there
 * wholly, VLY_E_MALFORMED (also for an unknown type or a value out of its range), VLY_E_LIMIT when
 * it is too long. */
VLY_MUST_USE int vly_msg_decode(struct vly_msg *m, struct vly_span in, size_t *used);

/* "GET"; "?" for an unknown type. Static. */
const char *vly_msg_name(enum vly_msg_type type);
/* Whether that side may send it. */
bool vly_msg_is_from_client(enum vly_msg_type type);
bool vly_msg_is_from_server(enum vly_msg_type type);

#endif
