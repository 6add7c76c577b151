/*
 * msg - encoding and decoding of the file protocol's messages, driven by the table in msg.h.
 *
 *   offset  length  field     SPEC 10.1
 *        0       1  type
 *        1  varint  length    of the body, at most 65536
 *                n  body      the fields of the type, nothing after them
 */
#include "file/msg.h"

#include "proto/wire.h"

#include <assert.h>
#include <string.h>

enum { FROM_CLIENT = 1, FROM_SERVER = 2, FROM_BOTH = 3 };

struct layout {
    enum vly_msg_type type;
    int from;
    const char *name;
    const char *fields;
};

static const struct layout layouts[] = {
#define X(name, type, sender, fields) {(type), FROM_##sender, #name, fields},
    VLY_MESSAGES(X)
#undef X
};

#define HEAD_MAX 5u /* type and the longest length there is */
#define HASH_BYTES 16u
#define MODE_MASK 0777u

static const struct layout *layout_of(unsigned type)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if ((unsigned)layouts[i].type == type)
            return &layouts[i];
    return NULL;
}

const char *vly_msg_name(enum vly_msg_type type)
{
    const struct layout *l = layout_of(type);

    return l != NULL ? l->name : "?";
}

bool vly_msg_is_from_client(enum vly_msg_type type)
{
    const struct layout *l = layout_of(type);

    return l != NULL && (l->from & FROM_CLIENT) != 0;
}

bool vly_msg_is_from_server(enum vly_msg_type type)
{
    const struct layout *l = layout_of(type);

    return l != NULL && (l->from & FROM_SERVER) != 0;
}

static void write_hashes(struct vly_wr *w, const struct vly_msg *m)
{
    assert(m->count >= 1 && m->count <= VLY_MSG_HASHES_MAX);
    assert(m->hashes.len == m->count * HASH_BYTES);
    vly_wr_varint(w, m->first);
    vly_wr_varint(w, m->count);
    vly_wr_bytes(w, m->hashes.data, m->hashes.len);
}

static void write_field(struct vly_wr *w, const struct vly_msg *m, char field)
{
    switch (field) {
    case 'v':
        vly_wr_varint(w, m->version);
        break;
    case 'r':
        vly_wr_varint(w, m->request);
        break;
    case 's':
        vly_wr_varint(w, m->stream);
        break;
    case 'l':
        vly_wr_u8(w, m->recursive);
        break;
    case 'f':
        vly_wr_u8(w, m->flags);
        break;
    case 'k':
        vly_wr_u8(w, m->kind);
        break;
    case 'z':
        vly_wr_varint(w, m->size);
        break;
    case 'm':
        vly_wr_u16(w, m->mode & MODE_MASK);
        break;
    case 't':
        vly_wr_u64(w, (uint64_t)m->mtime_ns);
        break;
    case 'p':
        vly_wr_str(w, m->path);
        break;
    case 'h':
        write_hashes(w, m);
        break;
    case 'e':
        vly_wr_bytes(w, m->root, sizeof m->root);
        break;
    case 'c':
        vly_wr_varint(w, m->code);
        break;
    case 'x':
        vly_wr_str(w, m->text);
        break;
    default:
        assert(false && "a letter of VLY_MESSAGES without a field");
    }
}

int vly_msg_encode(const struct vly_msg *m, uint8_t *buf, size_t cap, size_t *len)
{
    const struct layout *l = layout_of(m->type);
    struct vly_wr body, head;

    assert(l != NULL);
    if (cap < HEAD_MAX)
        return VLY_E_LIMIT;
    body = vly_wr_init(buf + HEAD_MAX, cap - HEAD_MAX);
    for (const char *field = l->fields; *field != '\0'; field++)
        write_field(&body, m, *field);
    if (body.failed || vly_wr_len(&body) > VLY_MSG_BODY_MAX)
        return VLY_E_LIMIT;
    head = vly_wr_init(buf, HEAD_MAX);
    vly_wr_u8(&head, (uint8_t)m->type);
    vly_wr_varint(&head, vly_wr_len(&body));
    memmove(buf + vly_wr_len(&head), buf + HEAD_MAX, vly_wr_len(&body));
    *len = vly_wr_len(&head) + vly_wr_len(&body);
    return 0;
}

/* Reads a u8 that has to lie in [least, most]. */
static uint8_t read_small(struct vly_rd *r, uint8_t least, uint8_t most)
{
    uint8_t v = vly_rd_u8(r);

    if (v < least || v > most)
        vly_rd_fail(r);
    return v;
}

static void read_hashes(struct vly_rd *r, struct vly_msg *m)
{
    m->first = vly_rd_varint(r);
    m->count = vly_rd_varint(r);
    if (m->count < 1 || m->count > VLY_MSG_HASHES_MAX)
        vly_rd_fail(r);
    else
        m->hashes = vly_rd_bytes(r, m->count * HASH_BYTES);
}

static void read_root(struct vly_rd *r, struct vly_msg *m)
{
    struct vly_span root = vly_rd_bytes(r, sizeof m->root);

    if (!r->failed)
        memcpy(m->root, root.data, sizeof m->root);
}

static void read_field(struct vly_rd *r, struct vly_msg *m, char field)
{
    switch (field) {
    case 'v':
        m->version = vly_rd_varint(r);
        break;
    case 'r':
        m->request = vly_rd_varint(r);
        break;
    case 's':
        m->stream = vly_rd_varint(r);
        break;
    case 'l':
        m->recursive = read_small(r, 0, 1);
        break;
    case 'f':
        m->flags = read_small(r, 0, VLY_PUT_REPLACE | VLY_PUT_MAKE_PARENTS);
        break;
    case 'k':
        m->kind = read_small(r, VLY_KIND_FILE, VLY_KIND_OTHER);
        break;
    case 'z':
        m->size = vly_rd_varint(r);
        break;
    case 'm':
        m->mode = vly_rd_u16(r) & MODE_MASK;
        break;
    case 't':
        m->mtime_ns = (int64_t)vly_rd_u64(r);
        break;
    case 'p':
        m->path = vly_rd_str(r, VLY_MSG_BODY_MAX);
        break;
    case 'h':
        read_hashes(r, m);
        break;
    case 'e':
        read_root(r, m);
        break;
    case 'c':
        m->code = vly_rd_varint(r);
        break;
    case 'x':
        m->text = vly_rd_str(r, VLY_MSG_BODY_MAX);
        break;
    default:
        assert(false && "a letter of VLY_MESSAGES without a field");
    }
}

static int decode_body(struct vly_msg *m, const struct layout *l, struct vly_span body)
{
    struct vly_rd r = vly_rd_init(body.data, body.len);

    *m = (struct vly_msg){.type = l->type};
    for (const char *field = l->fields; *field != '\0'; field++)
        read_field(&r, m, *field);
    return r.failed || vly_rd_left(&r) > 0 ? VLY_E_MALFORMED : 0;
}

int vly_msg_decode(struct vly_msg *m, struct vly_span in, size_t *used)
{
    struct vly_rd r = vly_rd_init(in.data, in.len);
    uint8_t type = vly_rd_u8(&r);
    uint64_t len;
    const struct layout *l;
    struct vly_span body;

    if (r.failed)
        return VLY_E_AGAIN;
    l = layout_of(type);
    if (l == NULL)
        return VLY_E_MALFORMED;
    len = vly_rd_varint(&r);
    if (r.failed)
        return VLY_E_AGAIN;
    if (len > VLY_MSG_BODY_MAX)
        return VLY_E_LIMIT;
    body = vly_rd_bytes(&r, len);
    if (r.failed)
        return VLY_E_AGAIN;
    *used = in.len - vly_rd_left(&r);
    return decode_body(m, l, body);
}
