/*
 * packet - encoders and decoders of the datagrams of SPEC 2.3 to 2.10, side by side.
 *
 * Every decoder is strict: it reads all fields from a sticky reader, then checks once that nothing
 * is missing and nothing is left over (RULE 14).
 */
#include "packet.h"

/* X(id, field, default, lowest, highest): the integers of SPEC 2.10. */
#define INT_PARAMS(X)                                    \
    X(0x01, max_data_bytes, 0, 0, VLY_VARINT_MAX)        \
    X(0x02, max_stream_data_bytes, 0, 0, VLY_VARINT_MAX) \
    X(0x03, max_streams, 0, 0, VLY_STREAMS_MAX)          \
    X(0x04, idle_timeout_ms, 30000, 1000, 600000)        \
    X(0x05, max_ack_delay_us, 5000, 0, 1000000)          \
    X(0x06, max_datagram_bytes, VLY_DATAGRAM_BASE, VLY_DATAGRAM_BASE, VLY_DATAGRAM_MAX)

enum { PARAM_RESET_TOKEN = 0x07, PARAM_APPLICATION = 0x08, PARAM_ID_MAX = 0x08 };

static bool in_limits(uint64_t v, uint64_t lowest, uint64_t highest)
{
    return v >= lowest && v <= highest;
}

void vly_params_init(struct vly_params *p)
{
    memset(p, 0, sizeof(*p));
#define X(id, field, initial, lowest, highest) p->field = (initial);
    INT_PARAMS(X)
#undef X
}

static void int_param_encode(struct vly_wr *w, uint64_t id, uint64_t v)
{
    vly_wr_varint(w, id);
    vly_wr_u8(w, (uint8_t)vly_varint_len(v));
    vly_wr_varint(w, v);
}

void vly_params_encode(struct vly_wr *w, const struct vly_params *p)
{
#define X(id, field, initial, lowest, highest)        \
    assert(in_limits(p->field, (lowest), (highest))); \
    int_param_encode(w, (id), p->field);
    INT_PARAMS(X)
#undef X
    if (p->has_reset_token) {
        vly_wr_varint(w, PARAM_RESET_TOKEN);
        vly_wr_bytes8(w, (struct vly_span){p->reset_token, VLY_RESET_TOKEN_BYTES});
    }
    assert(p->application_len <= VLY_APPLICATION_MAX);
    if (p->application_len > 0) {
        vly_wr_varint(w, PARAM_APPLICATION);
        vly_wr_u8(w, p->application_len);
        vly_wr_bytes(w, p->application, p->application_len);
    }
}

static int int_param_decode(uint64_t *out, struct vly_span value, uint64_t lowest, uint64_t highest)
{
    struct vly_rd r = vly_rd_init(value.data, value.len);

    *out = vly_rd_varint(&r);
    if (r.failed || vly_rd_left(&r) > 0 || !in_limits(*out, lowest, highest))
        return VLY_E_MALFORMED;
    return 0;
}

static int param_decode(struct vly_params *p, uint64_t id, struct vly_span value)
{
    switch (id) {
#define X(param_id, field, initial, lowest, highest) \
    case (param_id):                                 \
        return int_param_decode(&p->field, value, (lowest), (highest));
        INT_PARAMS(X)
#undef X
    case PARAM_RESET_TOKEN:
        if (value.len != VLY_RESET_TOKEN_BYTES)
            return VLY_E_MALFORMED;
        p->has_reset_token = true;
        memcpy(p->reset_token, value.data, value.len);
        return 0;
    case PARAM_APPLICATION:
        if (value.len < 1 || value.len > VLY_APPLICATION_MAX)
            return VLY_E_MALFORMED;
        p->application_len = (uint8_t)value.len;
        memcpy(p->application, value.data, value.len);
        return 0;
    default:
        return 0; /* unknown ids are skipped */
    }
}

int vly_params_decode(struct vly_params *p, struct vly_span in)
{
    struct vly_rd r = vly_rd_init(in.data, in.len);
    uint32_t seen = 0; /* bit n: id n occurred */

    vly_params_init(p);
    while (vly_rd_left(&r) > 0) {
        uint64_t id = vly_rd_varint(&r);
        struct vly_span value = vly_rd_bytes8(&r, UINT8_MAX);
        uint32_t bit = id <= PARAM_ID_MAX ? UINT32_C(1) << id : 0;

        /* Repeats of unknown ids pass: to notice them would take memory or time of the peer's
         * choosing. */
        if (r.failed || (seen & bit) != 0 || param_decode(p, id, value) != 0)
            return VLY_E_MALFORMED;
        seen |= bit & ~UINT32_C(1); /* id 0 is unknown as well */
    }
    return 0;
}

/* The end of each encoder. */
static void leave_tag_room(struct vly_wr *w)
{
    if (vly_wr_room(w) < VLY_TAG_BYTES)
        vly_wr_fail(w);
}

/* The end of each decoder: everything was there, nothing is left over. */
static bool is_complete(const struct vly_rd *r)
{
    return !r->failed && vly_rd_left(r) == 0;
}

/* SPEC 2.3 */
void vly_hello_encode(struct vly_wr *w, const struct vly_hello *h)
{
    const size_t least = VLY_DATAGRAM_BASE - VLY_TAG_BYTES;
    size_t before = vly_wr_len(w);
    size_t len;

    assert(h->client_cid != 0);
    assert(h->suites.len >= 1 && h->suites.len <= VLY_SUITES_MAX);
    assert(h->cookie.len <= VLY_COOKIE_MAX);
    vly_wr_u8(w, VLY_PACKET_HELLO);
    vly_wr_u32(w, h->version);
    vly_wr_u64(w, h->client_cid);
    vly_wr_bytes8(w, h->suites);
    vly_wr_bytes8(w, h->cookie);
    vly_wr_bytes16(w, h->handshake);
    vly_wr_bytes16(w, h->params);
    len = vly_wr_len(w) - before;
    if (len < least)
        vly_wr_zeros(w, least - len);
    leave_tag_room(w);
}

int vly_hello_decode(struct vly_hello *h, struct vly_span in)
{
    struct vly_rd r = vly_rd_init(in.data, in.len);
    uint8_t type = vly_rd_u8(&r);

    /* RULE 2: an answer is never larger than what asked for it, the one to other versions too. */
    if (in.len < VLY_DATAGRAM_BASE - VLY_TAG_BYTES || type != VLY_PACKET_HELLO)
        return VLY_E_MALFORMED;
    h->version = vly_rd_u32(&r);
    h->client_cid = vly_rd_u64(&r);
    if (h->version != VLY_VERSION_1)
        return VLY_E_VERSION;
    h->suites = vly_rd_bytes8(&r, VLY_SUITES_MAX);
    h->cookie = vly_rd_bytes8(&r, VLY_COOKIE_MAX);
    h->handshake = vly_rd_bytes16(&r, UINT16_MAX);
    h->params = vly_rd_bytes16(&r, UINT16_MAX);
    vly_rd_skip_zeros(&r);
    if (!is_complete(&r) || h->client_cid == 0 || h->suites.len == 0)
        return VLY_E_MALFORMED;
    return 0;
}

/* SPEC 2.4 */
void vly_retry_encode(struct vly_wr *w, const struct vly_retry *p)
{
    assert(p->client_cid != 0);
    assert(p->cookie.len >= 1 && p->cookie.len <= VLY_COOKIE_MAX);
    vly_wr_u8(w, VLY_PACKET_RETRY);
    vly_wr_u64(w, p->client_cid);
    vly_wr_bytes8(w, p->cookie);
    leave_tag_room(w);
}

int vly_retry_decode(struct vly_retry *p, struct vly_span in)
{
    struct vly_rd r = vly_rd_init(in.data, in.len);
    uint8_t type = vly_rd_u8(&r);

    p->client_cid = vly_rd_u64(&r);
    p->cookie = vly_rd_bytes8(&r, VLY_COOKIE_MAX);
    if (!is_complete(&r) || type != VLY_PACKET_RETRY)
        return VLY_E_MALFORMED;
    return p->client_cid == 0 || p->cookie.len == 0 ? VLY_E_MALFORMED : 0;
}

/* SPEC 2.5 */
void vly_accept_encode(struct vly_wr *w, const struct vly_accept *p)
{
    assert(p->client_cid != 0 && p->server_cid != 0);
    vly_wr_u8(w, VLY_PACKET_ACCEPT);
    vly_wr_u64(w, p->client_cid);
    vly_wr_u64(w, p->server_cid);
    vly_wr_u32(w, p->version);
    vly_wr_u8(w, p->suite);
    vly_wr_bytes16(w, p->handshake);
    vly_wr_bytes16(w, p->params);
    leave_tag_room(w);
}

int vly_accept_decode(struct vly_accept *p, struct vly_span in)
{
    struct vly_rd r = vly_rd_init(in.data, in.len);
    uint8_t type = vly_rd_u8(&r);

    p->client_cid = vly_rd_u64(&r);
    p->server_cid = vly_rd_u64(&r);
    p->version = vly_rd_u32(&r);
    p->suite = vly_rd_u8(&r);
    p->handshake = vly_rd_bytes16(&r, UINT16_MAX);
    p->params = vly_rd_bytes16(&r, UINT16_MAX);
    if (!is_complete(&r) || type != VLY_PACKET_ACCEPT)
        return VLY_E_MALFORMED;
    return p->client_cid == 0 || p->server_cid == 0 ? VLY_E_MALFORMED : 0;
}

/* SPEC 2.6 */
void vly_finish_encode(struct vly_wr *w, const struct vly_finish *p)
{
    assert(p->server_cid != 0 && p->handshake.len > 0);
    vly_wr_u8(w, VLY_PACKET_FINISH);
    vly_wr_u64(w, p->server_cid);
    vly_wr_bytes16(w, p->handshake);
    leave_tag_room(w);
}

int vly_finish_decode(struct vly_finish *p, struct vly_span in)
{
    struct vly_rd r = vly_rd_init(in.data, in.len);
    uint8_t type = vly_rd_u8(&r);

    p->server_cid = vly_rd_u64(&r);
    p->handshake = vly_rd_bytes16(&r, UINT16_MAX);
    if (!is_complete(&r) || type != VLY_PACKET_FINISH)
        return VLY_E_MALFORMED;
    return p->server_cid == 0 || p->handshake.len == 0 ? VLY_E_MALFORMED : 0;
}

/* SPEC 2.7 */
void vly_versions_encode(struct vly_wr *w, uint64_t client_cid)
{
    vly_wr_u8(w, VLY_PACKET_VERSIONS);
    vly_wr_u64(w, client_cid);
    vly_wr_u8(w, sizeof(uint32_t));
    vly_wr_u32(w, VLY_VERSION_1);
    leave_tag_room(w);
}

int vly_versions_decode(struct vly_versions *p, struct vly_span in)
{
    struct vly_rd r = vly_rd_init(in.data, in.len);
    uint8_t type = vly_rd_u8(&r);

    p->client_cid = vly_rd_u64(&r);
    p->versions = vly_rd_bytes8(&r, UINT8_MAX);
    if (!is_complete(&r) || type != VLY_PACKET_VERSIONS || p->client_cid == 0)
        return VLY_E_MALFORMED;
    if (p->versions.len == 0 || p->versions.len % sizeof(uint32_t) != 0)
        return VLY_E_MALFORMED;
    return 0;
}

/* SPEC 2.8 */
void vly_unknown_encode(struct vly_wr *w, const struct vly_unknown *p)
{
    assert(p->server_cid != 0);
    vly_wr_u8(w, VLY_PACKET_UNKNOWN);
    vly_wr_u64(w, p->server_cid);
    vly_wr_bytes(w, p->token, sizeof(p->token));
    leave_tag_room(w);
}

int vly_unknown_decode(struct vly_unknown *p, struct vly_span in)
{
    struct vly_rd r = vly_rd_init(in.data, in.len);
    uint8_t type = vly_rd_u8(&r);
    struct vly_span token;

    p->server_cid = vly_rd_u64(&r);
    token = vly_rd_bytes(&r, sizeof(p->token));
    if (!is_complete(&r) || type != VLY_PACKET_UNKNOWN || p->server_cid == 0)
        return VLY_E_MALFORMED;
    memcpy(p->token, token.data, sizeof(p->token));
    return 0;
}

/* SPEC 2.8 */
void vly_refuse_encode(struct vly_wr *w, const struct vly_refuse *p)
{
    assert(p->client_cid != 0 && p->reason.len <= VLY_REASON_MAX);
    vly_wr_u8(w, VLY_PACKET_REFUSE);
    vly_wr_u64(w, p->client_cid);
    vly_wr_varint(w, p->code);
    vly_wr_str(w, p->reason);
    leave_tag_room(w);
}

int vly_refuse_decode(struct vly_refuse *p, struct vly_span in)
{
    struct vly_rd r = vly_rd_init(in.data, in.len);
    uint8_t type = vly_rd_u8(&r);

    p->client_cid = vly_rd_u64(&r);
    p->code = vly_rd_varint(&r);
    p->reason = vly_rd_str(&r, VLY_REASON_MAX);
    if (!is_complete(&r) || type != VLY_PACKET_REFUSE || p->client_cid == 0)
        return VLY_E_MALFORMED;
    return 0;
}

/* SPEC 2.9 */
void vly_data_header_encode(struct vly_wr *w, const struct vly_data_header *h)
{
    assert(h->cid != 0 && h->pn <= VLY_VARINT_MAX);
    vly_wr_u8(w, h->key_phase ? VLY_PACKET_DATA | VLY_KEY_PHASE_BIT : VLY_PACKET_DATA);
    vly_wr_u64(w, h->cid);
    vly_wr_u64(w, h->pn);
}

int vly_data_header_decode(struct vly_data_header *h, struct vly_span in)
{
    struct vly_rd r = vly_rd_init(in.data, in.len);
    uint8_t type = vly_rd_u8(&r);

    h->key_phase = (type & VLY_KEY_PHASE_BIT) != 0;
    h->cid = vly_rd_u64(&r);
    h->pn = vly_rd_u64(&r);
    if (r.failed || vly_rd_left(&r) == 0 || (type & ~VLY_KEY_PHASE_BIT) != VLY_PACKET_DATA)
        return VLY_E_MALFORMED;
    return h->cid == 0 || h->pn > VLY_VARINT_MAX ? VLY_E_MALFORMED : 0; /* RULE 36 */
}
