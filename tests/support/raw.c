#include "support/raw.h"

#include <string.h>

#include "crypto/crypto.h"
#include "proto/conn_internal.h"

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
    r->method = sealed_method();
    r->suite = r->method == VLY_METHOD_NONE ? VLY_SUITE_PLAIN : VLY_SUITE_AES_256_GCM;
    r->version = VLY_VERSION_1;
    r->secrets = p->scripted_n;
    (void)pair_new_secrets(p);
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

static struct pair_secrets *secrets(const struct raw *r)
{
    return &r->p->scripted[r->secrets];
}

static struct vly_span encode_params(const struct vly_params *params, uint8_t *buf, size_t cap)
{
    struct vly_params mine = params != NULL ? *params : raw_params();
    struct vly_wr w = vly_wr_init(buf, cap);

    vly_params_encode(&w, &mine);
    return (struct vly_span){buf, vly_wr_len(&w)};
}

static void begin_handshake(struct raw *r, const struct vly_hello *hello, enum vly_role role)
{
    const struct vly_credentials *ours = sealed_credentials(role, r->method);
    uint8_t prologue[VLY_HANDSHAKE_PROLOGUE_MAX];
    size_t len = vly_handshake_prologue(hello, (uint8_t)r->method, prologue);

    assert_int_equal(
        vly_handshake_new(&secrets(r)->handshake, &r->p->side[0].crypto,
                          role == VLY_CLIENT ? VLY_HANDSHAKE_CLIENT : VLY_HANDSHAKE_SERVER, ours,
                          (struct vly_span){prologue, len}),
        0);
}

/* Our next message, behind what r->message holds already. */
static void write_message(struct raw *r, struct vly_span payload)
{
    struct vly_wr w = vly_wr_init(r->message, sizeof(r->message));

    w.pos += r->message_len;
    assert_int_equal(vly_handshake_write(secrets(r)->handshake, payload, &w), 0);
    r->message_len = vly_wr_len(&w);
}

static struct vly_span read_message(struct raw *r, struct vly_span message, uint8_t *payload)
{
    size_t len = 0;

    assert_int_equal(vly_handshake_read(secrets(r)->handshake, message, payload, &len), 0);
    return (struct vly_span){payload, len};
}

static void make_keys(struct raw *r, enum vly_role role)
{
    struct vly_crypto *crypto = &r->p->side[0].crypto;
    uint8_t secret[2][VLY_KEY_BYTES];
    struct vly_keys_start start = {.crypto = crypto, .suite = crypto->sealed[0]};

    vly_handshake_secrets(secrets(r)->handshake, secret[VLY_CLIENT], secret[VLY_SERVER]);
    start.secret = secret[role];
    assert_int_equal(vly_send_keys_new(&secrets(r)->send, &start), 0);
    start.secret = secret[1 - role];
    assert_int_equal(vly_recv_keys_new(&secrets(r)->recv, &start), 0);
}

void raw_hello(struct raw *r, const struct vly_params *params, uint32_t version)
{
    uint8_t encoded[256];
    struct vly_span mine = encode_params(params, encoded, sizeof(encoded));
    struct vly_hello hello = {.version = version != 0 ? version : VLY_VERSION_1,
                              .client_cid = r->cid,
                              .suites = {&r->suite, 1},
                              .cookie = {r->cookie, r->cookie_len}};

    if (r->method == VLY_METHOD_NONE) {
        hello.params = mine;
    } else if (secrets(r)->handshake == NULL) {
        begin_handshake(r, &hello, VLY_CLIENT);
        r->message[0] = (uint8_t)r->method;
        r->message_len = 1;
        write_message(r, vly_handshake_has_payload(secrets(r)->handshake)
                             ? mine
                             : (struct vly_span){NULL, 0});
    }
    hello.handshake = (struct vly_span){r->message, r->message_len};
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

/* Message 2 to the HELLO that was seen; once. */
static void answer_handshake(struct raw *r, struct vly_span params)
{
    uint8_t payload[VLY_HANDSHAKE_MAX];
    struct vly_wr w = vly_wr_init(payload, sizeof(payload));

    vly_wr_u32(&w, r->version);
    vly_wr_u8(&w, r->p->side[0].crypto.sealed[0]->id);
    vly_wr_u64(&w, r->cid);
    vly_wr_bytes(&w, params.data, params.len);
    r->message_len = 0;
    write_message(r, (struct vly_span){payload, vly_wr_len(&w)});
    if (vly_handshake_is_done(secrets(r)->handshake))
        make_keys(r, VLY_SERVER);
}

void raw_send_accept(struct raw *r, const struct vly_params *params, uint8_t suite)
{
    struct vly_params mine = params != NULL ? *params : raw_params();
    uint8_t encoded[256];
    struct vly_accept accept = {
        .client_cid = r->host_cid, .server_cid = r->cid, .version = VLY_VERSION_1, .suite = suite};

    mine.has_reset_token = true;
    memset(mine.reset_token, 0x5a, sizeof(mine.reset_token));
    accept.params = encode_params(&mine, encoded, sizeof(encoded));
    if (r->method != VLY_METHOD_NONE) {
        if (vly_handshake_is_our_turn(secrets(r)->handshake))
            answer_handshake(r, accept.params);
        accept.params = (struct vly_span){NULL, 0};
        accept.handshake = (struct vly_span){r->message, r->message_len};
        if (suite == VLY_SUITE_PLAIN)
            accept.suite = r->p->side[0].crypto.sealed[0]->id;
    }
    r->w = vly_wr_init(r->buf, sizeof(r->buf));
    vly_accept_encode(&r->w, &accept);
    raw_give(r, seal_whole(r));
}

void raw_finish(struct raw *r, const struct vly_params *params)
{
    uint8_t encoded[256];

    struct vly_wr w = vly_wr_init(r->finish, sizeof(r->finish));

    if (r->method != VLY_METHOD_KEYS && r->method != VLY_METHOD_CODE)
        return;
    if (vly_handshake_is_our_turn(secrets(r)->handshake)) {
        struct vly_span mine = encode_params(params, encoded, sizeof(encoded));

        assert_int_equal(vly_handshake_write(secrets(r)->handshake, mine, &w), 0);
        r->finish_len = vly_wr_len(&w);
        make_keys(r, VLY_CLIENT);
    }
    r->w = vly_wr_init(r->buf, sizeof(r->buf));
    vly_finish_encode(&r->w, &(struct vly_finish){r->host_cid, {r->finish, r->finish_len}});
    raw_give(r, seal_whole(r));
}

/* The PING that answers FINISH is acknowledged, its ECN mark told. */
static void ack_answer(struct raw *r)
{
    struct vly_ack_fields fields;

    assert_true(vly_ackset_fields(&r->received, r->p->now_ns, &fields));
    fields.has_ecn = true;
    fields.ect0 = r->expected_pn;
    vly_frame_ack_encode(raw_packet(r), &fields);
    raw_send(r);
    raw_take(r);
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
    raw_finish(r, params);
    vly_frame_ping_encode(raw_packet(r));
    raw_send(r);
    raw_take(r);
    assert_int_equal(r->seen.frames[VLY_FRAME_ACK], 1);
    if (r->method == VLY_METHOD_KEYS || r->method == VLY_METHOD_CODE)
        ack_answer(r);
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
    size_t len;

    w->start[0] = VLY_PACKET_DATA;
    vly_store_u64(w->start + 1, r->host_cid);
    vly_store_u64(w->start + 9, pn);
    if (r->method == VLY_METHOD_NONE)
        return seal_whole(r);
    assert_false(w->failed);
    len = vly_wr_len(w);
    vly_seal_one(secrets(r)->send->start.suite, secrets(r)->send->now.keys, pn, r->buf,
                 VLY_DATA_HEADER_BYTES, len);
    w->start = NULL;
    return (struct vly_span){r->buf, len + VLY_TAG_BYTES};
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

static void see_accept(struct raw *r, const struct vly_accept *accept)
{
    uint8_t payload[VLY_HANDSHAKE_MAX];
    struct vly_span params = accept->params;

    r->host_cid = accept->server_cid;
    if (r->method != VLY_METHOD_NONE) {
        if (vly_handshake_is_done(secrets(r)->handshake) ||
            vly_handshake_is_our_turn(secrets(r)->handshake))
            return; /* the same again */
        params = read_message(r, accept->handshake, payload);
        assert_true(params.len > 13);
        params = (struct vly_span){params.data + 13, params.len - 13};
        if (vly_handshake_is_done(secrets(r)->handshake))
            make_keys(r, VLY_CLIENT);
    }
    assert_int_equal(vly_params_decode(&r->host_params, params), 0);
}

static void see_hello(struct raw *r, const struct vly_hello *hello)
{
    uint8_t payload[VLY_HANDSHAKE_MAX];
    struct vly_span params = hello->params;
    struct vly_span message = {hello->handshake.data + 1, hello->handshake.len - 1};

    r->host_cid = hello->client_cid;
    if (r->method != VLY_METHOD_NONE) {
        if (secrets(r)->handshake != NULL)
            return; /* the same again */
        assert_int_equal(hello->handshake.data[0], r->method);
        begin_handshake(r, hello, VLY_SERVER);
        params = read_message(r, message, payload);
    }
    assert_int_equal(vly_params_decode(&r->host_params, params), 0);
}

static void see_finish(struct raw *r, const struct vly_finish *finish)
{
    uint8_t payload[VLY_HANDSHAKE_MAX];

    if (vly_handshake_is_done(secrets(r)->handshake))
        return;
    assert_int_equal(
        vly_params_decode(&r->host_params, read_message(r, finish->handshake, payload)), 0);
    make_keys(r, VLY_SERVER);
}

static void see_handshake(struct raw *r, struct vly_span in)
{
    struct vly_retry retry;
    struct vly_accept accept;
    struct vly_hello hello;
    struct vly_finish finish;

    r->seen.handshake[in.data[0]]++;
    if (in.data[0] == VLY_PACKET_RETRY) {
        assert_int_equal(vly_retry_decode(&retry, in), 0);
        r->cookie_len = retry.cookie.len;
        memcpy(r->cookie, retry.cookie.data, retry.cookie.len);
    } else if (in.data[0] == VLY_PACKET_ACCEPT) {
        assert_int_equal(vly_accept_decode(&accept, in), 0);
        see_accept(r, &accept);
    } else if (in.data[0] == VLY_PACKET_HELLO) {
        assert_int_equal(vly_hello_decode(&hello, in), 0);
        see_hello(r, &hello);
    } else if (in.data[0] == VLY_PACKET_FINISH) {
        assert_int_equal(vly_finish_decode(&finish, in), 0);
        see_finish(r, &finish);
    } else if (in.data[0] == VLY_PACKET_REFUSE) {
        assert_int_equal(vly_refuse_decode(&r->seen.refuse, in), 0);
    }
}

/* Opens it where it stands. */
static void open_packet(struct raw *r, uint8_t *data, size_t len)
{
    struct vly_aead_job job = {.head = data, .head_bytes = VLY_DATA_HEADER_BYTES};

    if (r->method == VLY_METHOD_NONE || (data[0] & ~VLY_KEY_PHASE_BIT) != VLY_PACKET_DATA) {
        assert_true(vly_open_one(&vly_suite_plain, NULL, 0, data, len, len));
        return;
    }
    job.number = vly_load_u64(data + 9);
    job.in = job.out = data + VLY_DATA_HEADER_BYTES;
    job.len = len - VLY_DATA_HEADER_BYTES;
    assert_int_equal(
        vly_recv_keys_open(secrets(r)->recv, &job, (data[0] & VLY_KEY_PHASE_BIT) != 0, 0, 0), 0);
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
        open_packet(r, d->data, in.len);
        if ((in.data[0] & ~VLY_KEY_PHASE_BIT) == VLY_PACKET_DATA)
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
