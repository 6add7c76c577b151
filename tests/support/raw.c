#include "support/raw.h"

#include <string.h>

#include "crypto/crypto.h"

#define NO_CODE UINT64_MAX
#define STEPS_AT_ONE_TIME_MAX 100u

struct vly_params raw_params(void)
{
    struct vly_params p;

    vly_params_init(&p);
    p.max_data_bytes = UINT64_C(1) << 40;
    p.max_stream_data_bytes = UINT64_C(1) << 40;
    p.max_streams = 1000;
    p.max_datagram_bytes = VLY_DATAGRAM_MAX;
    p.application_len = 13;
    memcpy(p.application, "volley-file/1", 13);
    return p;
}

void raw_init(struct raw *r, struct pair *p, enum pair_who host, const struct vly_addr *addr)
{
    enum pair_who us = host == PAIR_CLIENT ? PAIR_SERVER : PAIR_CLIENT;

    memset(r, 0, sizeof(*r));
    r->p = p;
    r->host = host;
    r->addr = addr != NULL ? *addr : p->side[us].addr;
    r->cid = 0x7261770000000000 + vly_prng_below(&p->side[us].prng, UINT32_MAX) + 1;
    r->seen.close_code = NO_CODE;
    vly_ackset_init(&r->received);
}

void raw_give(struct raw *r, struct vly_span datagram)
{
    pair_give(r->p, r->host, &r->addr, VLY_ECN_NONE, datagram);
}

static struct vly_span seal_whole(struct raw *r)
{
    size_t len = vly_wr_len(&r->w);

    assert_false(r->w.failed);
    vly_seal_one(&vly_suite_plain, NULL, 0, r->buf, len, len);
    r->w.start = NULL;
    return (struct vly_span){r->buf, len + VLY_TAG_BYTES};
}

void raw_hello(struct raw *r, const struct vly_params *params, uint32_t version)
{
    static const uint8_t suite = VLY_SUITE_PLAIN;
    struct vly_params mine = params != NULL ? *params : raw_params();
    uint8_t encoded[256];
    struct vly_wr w = vly_wr_init(encoded, sizeof(encoded));
    struct vly_hello hello = {.version = version != 0 ? version : VLY_VERSION_1,
                              .client_cid = r->cid,
                              .suites = {&suite, 1},
                              .cookie = {r->cookie, r->cookie_len}};

    vly_params_encode(&w, &mine);
    hello.params = (struct vly_span){encoded, vly_wr_len(&w)};
    r->w = vly_wr_init(r->buf, sizeof(r->buf));
    vly_hello_encode(&r->w, &hello);
    raw_give(r, seal_whole(r));
}

void raw_retry(struct raw *r)
{
    static const uint8_t cookie[8] = "a cookie";
    struct vly_retry retry = {r->host_cid, {cookie, sizeof(cookie)}};

    r->w = vly_wr_init(r->buf, sizeof(r->buf));
    vly_retry_encode(&r->w, &retry);
    raw_give(r, seal_whole(r));
    raw_take(r);
}

void raw_send_accept(struct raw *r, const struct vly_params *params, uint8_t suite)
{
    struct vly_params mine = params != NULL ? *params : raw_params();
    uint8_t encoded[256];
    struct vly_wr w = vly_wr_init(encoded, sizeof(encoded));
    struct vly_accept accept = {
        .client_cid = r->host_cid, .server_cid = r->cid, .version = VLY_VERSION_1, .suite = suite};

    mine.has_reset_token = true;
    memset(mine.reset_token, 0x5a, sizeof(mine.reset_token));
    vly_params_encode(&w, &mine);
    accept.params = (struct vly_span){encoded, vly_wr_len(&w)};
    r->w = vly_wr_init(r->buf, sizeof(r->buf));
    vly_accept_encode(&r->w, &accept);
    raw_give(r, seal_whole(r));
}

void raw_connect(struct raw *r, struct pair *p, const struct vly_addr *addr,
                 const struct vly_params *params)
{
    raw_init(r, p, PAIR_SERVER, addr);
    raw_hello(r, params, 0);
    raw_take(r);
    assert_true(r->cookie_len > 0);
    p->now_ns += RAW_RTT_NS;
    raw_hello(r, params, 0);
    raw_take(r);
    p->now_ns += RAW_RTT_NS;
    assert_true(r->host_cid != 0);
    vly_frame_ping_encode(raw_packet(r));
    raw_send(r);
    raw_take(r);
    assert_int_equal(r->seen.frames[VLY_FRAME_ACK], 1);
    memset(&r->seen, 0, sizeof(r->seen));
    r->seen.close_code = NO_CODE;
}

void raw_accept(struct raw *r, struct pair *p, const struct vly_params *params)
{
    raw_init(r, p, PAIR_CLIENT, NULL);
    pair_begin(p);
    raw_take(r);
    assert_true(r->host_cid != 0);
    raw_retry(r);
    p->now_ns += RAW_RTT_NS;
    raw_send_accept(r, params, VLY_SUITE_PLAIN);
    raw_take(r);
    p->now_ns += RAW_RTT_NS;
    assert_int_equal(r->seen.frames[VLY_FRAME_PING], 1);
    raw_ack_all(r);
    memset(&r->seen, 0, sizeof(r->seen));
    r->seen.close_code = NO_CODE;
}

/* ---- sending ---- */

struct vly_wr *raw_packet(struct raw *r)
{
    if (r->w.start == NULL) {
        r->w = vly_wr_init(r->buf, sizeof(r->buf) - VLY_TAG_BYTES);
        vly_wr_zeros(&r->w, VLY_DATA_HEADER_BYTES);
    }
    return &r->w;
}

struct vly_span raw_seal(struct raw *r, uint64_t pn)
{
    struct vly_wr *w = raw_packet(r);

    w->start[0] = VLY_PACKET_DATA;
    vly_store_u64(w->start + 1, r->host_cid);
    vly_store_u64(w->start + 9, pn);
    return seal_whole(r);
}

void raw_send_pn(struct raw *r, uint64_t pn)
{
    raw_give(r, raw_seal(r, pn));
    r->next_pn = pn + 1;
}

void raw_send(struct raw *r)
{
    raw_send_pn(r, r->next_pn);
}

void raw_send_ecn(struct raw *r, enum vly_ecn ecn)
{
    pair_give(r->p, r->host, &r->addr, ecn, raw_seal(r, r->next_pn));
    r->next_pn++;
}

void raw_stream(struct raw *r, uint64_t id, uint64_t offset, size_t len, bool fin)
{
    struct vly_wr *w = raw_packet(r);

    vly_frame_stream_header_encode(w, id, offset, len, fin);
    for (size_t i = 0; i < len; i++)
        vly_wr_u8(w, pair_byte(id, offset + i));
}

void raw_ack(struct raw *r, uint64_t begin, uint64_t end)
{
    struct vly_range range = {begin, end};
    struct vly_ack_fields fields = {.ranges = &range, .n_ranges = 1};

    vly_frame_ack_encode(raw_packet(r), &fields);
    raw_send(r);
}

void raw_ack_all(struct raw *r)
{
    struct vly_ack_fields fields;

    if (!vly_ackset_fields(&r->received, r->p->now_ns, &fields))
        return;
    fields.delay_us = 0;
    vly_frame_ack_encode(raw_packet(r), &fields);
    raw_send(r);
}

/* ---- reading ---- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void see_frame(struct raw_seen *seen, const struct vly_frame *f)
{
    seen->frames[f->type]++;
    switch ((enum vly_frame_type)f->type) {
    case VLY_FRAME_STREAM:
    case VLY_FRAME_STREAM_FIN:
        seen->stream_bytes += f->stream.data.len;
        break;
    case VLY_FRAME_ACK:
    case VLY_FRAME_ACK_ECN:
        seen->ack = f->ack;
        break;
    case VLY_FRAME_MAX_DATA:
        seen->max_data = larger(seen->max_data, f->max.limit);
        break;
    case VLY_FRAME_MAX_STREAM_DATA:
        seen->max_stream_data = larger(seen->max_stream_data, f->max.limit);
        break;
    case VLY_FRAME_MAX_STREAMS:
        seen->max_streams = larger(seen->max_streams, f->max.limit);
        break;
    case VLY_FRAME_PATH_RESPONSE:
        memcpy(seen->path, f->path, sizeof(seen->path));
        break;
    case VLY_FRAME_CLOSE:
    case VLY_FRAME_CLOSE_APP:
        seen->close_code = f->close.code;
        memcpy(seen->reason, f->close.reason.data, f->close.reason.len);
        seen->reason[f->close.reason.len] = '\0';
        break;
    case VLY_FRAME_PADDING:
    case VLY_FRAME_PING:
    case VLY_FRAME_FLOOR:
    case VLY_FRAME_RESET_STREAM:
    case VLY_FRAME_STOP_SENDING:
    case VLY_FRAME_PATH_CHALLENGE:
        break;
    }
}

static void see_data(struct raw *r, struct vly_span in)
{
    struct vly_data_header h;
    struct vly_rd rd = vly_rd_init(in.data + VLY_DATA_HEADER_BYTES, in.len - VLY_DATA_HEADER_BYTES);
    bool counted = false;

    assert_int_equal(vly_data_header_decode(&h, in), 0);
    assert_int_equal(h.cid, r->cid);
    if (r->expected_pn == 0)
        r->expected_pn = h.pn;
    for (uint64_t pn = r->expected_pn; pn < h.pn && r->skipped_n < RAW_SKIPPED_MAX; pn++)
        r->skipped[r->skipped_n++] = pn;
    assert_true(h.pn >= r->expected_pn); /* RULE 10 */
    r->expected_pn = h.pn + 1;
    r->seen.packets++;
    r->seen.largest_pn = h.pn;
    while (vly_rd_left(&rd) > 0) {
        struct vly_frame f;

        assert_int_equal(vly_frame_decode(&f, &rd), 0);
        counted |= f.eliciting;
        see_frame(&r->seen, &f);
    }
    vly_ackset_add(&r->received, h.pn, r->p->now_ns, counted, VLY_ECN_NONE, 0);
}

static void see_handshake(struct raw *r, struct vly_span in)
{
    struct vly_retry retry;
    struct vly_accept accept;
    struct vly_hello hello;

    r->seen.handshake[in.data[0]]++;
    if (in.data[0] == VLY_PACKET_RETRY) {
        assert_int_equal(vly_retry_decode(&retry, in), 0);
        r->cookie_len = retry.cookie.len;
        memcpy(r->cookie, retry.cookie.data, retry.cookie.len);
    } else if (in.data[0] == VLY_PACKET_ACCEPT) {
        assert_int_equal(vly_accept_decode(&accept, in), 0);
        r->host_cid = accept.server_cid;
        assert_int_equal(vly_params_decode(&r->host_params, accept.params), 0);
    } else if (in.data[0] == VLY_PACKET_HELLO) {
        assert_int_equal(vly_hello_decode(&hello, in), 0);
        r->host_cid = hello.client_cid;
        assert_int_equal(vly_params_decode(&r->host_params, hello.params), 0);
    } else if (in.data[0] == VLY_PACKET_REFUSE) {
        assert_int_equal(vly_refuse_decode(&r->seen.refuse, in), 0);
    }
}

size_t raw_take(struct raw *r)
{
    struct pair_side *s = &r->p->side[r->host];
    size_t n = pair_flush(r->p, r->host);

    r->seen.last_sent_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pair_datagram *d = &s->out[i];
        struct vly_span in = {d->data, d->len - VLY_TAG_BYTES};

        r->seen.last_sent_bytes += d->len;
        if (d->to.len != r->addr.len || memcmp(d->to.data, r->addr.data, r->addr.len) != 0)
            continue;
        assert_true(vly_open_one(&vly_suite_plain, NULL, 0, d->data, in.len, in.len));
        if (in.data[0] == VLY_PACKET_DATA)
            see_data(r, in);
        else
            see_handshake(r, in);
    }
    pair_drop(r->p, r->host);
    return n;
}

size_t raw_run(struct raw *r, uint64_t for_ns)
{
    struct vly_endpoint *ep = r->p->side[r->host].ep;
    uint64_t until_ns = r->p->now_ns + for_ns;
    size_t n = raw_take(r);
    unsigned steps = 0;

    for (uint64_t at_ns; (at_ns = vly_endpoint_deadline(ep)) <= until_ns; n += raw_take(r)) {
        steps = at_ns > r->p->now_ns ? 0 : steps + 1;
        assert_in_range(steps, 0, STEPS_AT_ONE_TIME_MAX); /* a deadline that is never met */
        if (at_ns > r->p->now_ns)
            r->p->now_ns = at_ns;
        pair_serve_deadline(r->p, r->host);
    }
    r->p->now_ns = until_ns;
    return n;
}
