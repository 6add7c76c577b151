#include "support/scenario.h"

#include "proto/frame.h"
#include "support/ladder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    unsigned from, to;
} ends[2] = {[TO_CLIENT] = {SERVER, CLIENT}, [TO_SERVER] = {CLIENT, SERVER}};

void scenario_seal(struct scenario *s, enum vly_method method)
{
    if (method == VLY_METHOD_NONE)
        return;
    free(s->keys);
    s->keys = calloc(1, sizeof(*s->keys));
    assert_non_null(s->keys);
    for (int node = CLIENT; node <= SERVER; node++) {
        sealed_config(&s->config[node], method);
        s->config[node].keylog = sealed_keylog(s->keys);
    }
}

void scenario_init(struct scenario *s, uint64_t seed)
{
    *s = (struct scenario){.seed = seed, .elapsed_ns = VLY_NEVER};
    for (int node = CLIENT; node <= SERVER; node++) {
        s->config[node].allow_plain = true;
        s->config[node].is_server = node == SERVER;
    }
    scenario_seal(s, sealed_method());
}

void scenario_fini(struct scenario *s)
{
    vly_bulk_fini(&s->bulk);
    vly_world_free(s->world);
    s->world = NULL;
    free(s->keys);
    s->keys = NULL;
}

void scenario_link(struct scenario *s, const struct vly_link_spec *spec)
{
    s->link[TO_CLIENT] = s->link[TO_SERVER] = *spec;
}

void scenario_conn(struct scenario *s, const struct vly_conn_config *conn)
{
    s->config[CLIENT].conn = s->config[SERVER].conn = *conn;
}

void scenario_hold(struct scenario *s, enum scenario_way way, enum scenario_packet kind,
                   uint64_t nth, uint64_t hold_ns)
{
    assert_true(s->drops_n < SCENARIO_DROPS_MAX);
    s->drops[s->drops_n++] = (struct scenario_drop){way, kind, nth, hold_ns};
}

void scenario_drop(struct scenario *s, enum scenario_way way, enum scenario_packet kind,
                   uint64_t nth)
{
    scenario_hold(s, way, kind, nth, 0);
}

struct vly_span scenario_frames(const struct scenario *s, struct vly_span datagram, uint8_t *buf)
{
    size_t len = datagram.len - VLY_TAG_BYTES;

    if (s->keys == NULL)
        memcpy(buf, datagram.data, len);
    else
        assert_int_equal(sealed_open(s->keys, datagram, buf), len);
    return (struct vly_span){buf + VLY_DATA_HEADER_BYTES, len - VLY_DATA_HEADER_BYTES};
}

enum scenario_packet scenario_packet_kind(const struct scenario *s, struct vly_span datagram)
{
    struct vly_rd r = vly_rd_init(datagram.data, datagram.len);
    enum scenario_packet kind = PKT_ACK;
    uint8_t buf[VLY_DATAGRAM_MAX];
    struct vly_span frames;
    struct vly_frame f;

    if (datagram.len < VLY_DATAGRAM_MIN || (vly_rd_u8(&r) & ~VLY_KEY_PHASE_BIT) != VLY_PACKET_DATA)
        return PKT_HANDSHAKE;
    frames = scenario_frames(s, datagram, buf);
    r = vly_rd_init(frames.data, frames.len);
    while (vly_rd_left(&r) > 0) {
        assert_int_equal(vly_frame_decode(&f, &r), 0);
        if ((f.type == VLY_FRAME_STREAM || f.type == VLY_FRAME_STREAM_FIN) && f.stream.data.len > 0)
            return PKT_STREAM;
        if (f.eliciting || f.type == VLY_FRAME_CLOSE || f.type == VLY_FRAME_CLOSE_APP)
            kind = PKT_ANY;
    }
    return kind;
}

/* Counts the datagram and finds what is to happen to it; NULL: nothing. */
static const struct scenario_drop *find_drop(struct scenario *s, enum scenario_way way,
                                             struct vly_span datagram)
{
    enum scenario_packet kind = scenario_packet_kind(s, datagram);
    uint64_t *sent = s->sent[way];

    sent[PKT_ANY]++;
    if (kind != PKT_ANY)
        sent[kind]++;
    for (size_t i = 0; i < s->drops_n; i++) {
        const struct scenario_drop *d = &s->drops[i];

        if (d->way == way && (d->kind == kind || d->kind == PKT_ANY) && d->nth == sent[d->kind])
            return d;
    }
    return NULL;
}

static enum vly_world_verdict apply_drop(struct scenario *s, const struct vly_world_view *v)
{
    const struct scenario_drop *d = find_drop(s, v->to == SERVER ? TO_SERVER : TO_CLIENT, v->data);
    struct vly_world_view late = *v;

    if (d == NULL)
        return VLY_WORLD_PASS;
    late.now_ns += d->hold_ns;
    if (d->hold_ns > 0)
        assert_int_equal(vly_world_inject(s->world, &late), 0);
    return VLY_WORLD_DROP;
}

static enum vly_world_verdict on_sent(void *ctx, const struct vly_world_view *v)
{
    struct scenario *s = ctx;
    enum vly_world_verdict verdict = VLY_WORLD_PASS;

    if (s->hooks.on_sent != NULL)
        verdict = s->hooks.on_sent(s->hooks.ctx, v);
    if (s->drops_n > 0 && apply_drop(s, v) == VLY_WORLD_DROP)
        verdict = VLY_WORLD_DROP;
    if (s->shows_ladder)
        ladder_print(v, verdict == VLY_WORLD_DROP ? LADDER_DROPPED : LADDER_SENT);
    return verdict;
}

static void on_arrived(void *ctx, const struct vly_world_view *v)
{
    struct scenario *s = ctx;

    if (s->shows_ladder)
        ladder_print(v, LADDER_ARRIVED);
    if (s->hooks.on_arrived != NULL)
        s->hooks.on_arrived(s->hooks.ctx, v);
}

void scenario_build(struct scenario *s)
{
    const struct vly_world_hooks hooks = {s, on_sent, on_arrived};

    s->world = vly_world_new(s->seed);
    assert_non_null(s->world);
    for (int node = CLIENT; node <= SERVER; node++)
        assert_int_equal(vly_world_add_node(s->world, &s->config[node]), 0);
    for (int way = TO_CLIENT; way <= TO_SERVER; way++)
        assert_int_equal(vly_world_add_link(s->world, ends[way].from, ends[way].to, &s->link[way]),
                         0);
    /* Without any of them the world need not call for each datagram. */
    s->shows_ladder = getenv("VLY_LADDER") != NULL;
    if (s->shows_ladder || s->drops_n > 0 || s->hooks.on_sent != NULL ||
        s->hooks.on_arrived != NULL)
        vly_world_set_hooks(s->world, &hooks);
}

void scenario_transfer(struct scenario *s, const struct vly_bulk_spec *spec)
{
    if (s->world == NULL)
        scenario_build(s);
    assert_int_equal(vly_bulk_start(&s->bulk, s->world, CLIENT, SERVER, spec), 0);
}

void scenario_change(struct scenario *s, enum scenario_way way, uint64_t at_ns,
                     enum vly_link_quantity what, uint64_t value)
{
    const struct vly_link_change change = {at_ns, what, value};
    struct vly_link_model *l = vly_world_link(s->world, ends[way].from, ends[way].to);

    assert_int_equal(vly_link_model_change(l, &change), 0);
}

void scenario_outage(struct scenario *s, uint64_t begin_ns, uint64_t end_ns)
{
    for (int way = TO_CLIENT; way <= TO_SERVER; way++) {
        scenario_change(s, (enum scenario_way)way, begin_ns, VLY_LINK_OUTAGE, 1);
        scenario_change(s, (enum scenario_way)way, end_ns, VLY_LINK_OUTAGE, 0);
    }
}

void scenario_run_any(struct scenario *s, uint64_t until_ns)
{
    const struct vly_bulk *f = &s->bulk;

    vly_world_run(s->world, until_ns);
    if (vly_world_failure(s->world) != NULL) {
        char what[VLY_WORLD_FAILURE_MAX];

        snprintf(what, sizeof(what), "%s", vly_world_failure(s->world));
        scenario_fini(s); /* so that a sanitizer adds no report of its own */
        fail_msg("%s", what);
    }
    if (f->world == NULL)
        return;
    vly_bulk_stats(f, VLY_SERVER, &s->sender);
    vly_bulk_stats(f, VLY_CLIENT, &s->receiver);
    s->elapsed_ns = f->finished_ns != VLY_NEVER ? f->finished_ns - f->begin_ns : VLY_NEVER;
}

bool scenario_continue(struct scenario *s, uint64_t ns)
{
    scenario_run_any(s, vly_world_now_ns(s->world) + ns);
    return s->bulk.finished_ns == VLY_NEVER && !s->bulk.is_over;
}

static const char *end_of(const struct vly_bulk_side *side)
{
    if (!side->is_closed)
        return side->conn != NULL ? "open" : "not connected";
    return vly_err_text(side->closed.err);
}

void scenario_run(struct scenario *s, uint64_t until_ns)
{
    double now_s;

    scenario_run_any(s, until_ns);
    if (scenario_is_intact(s))
        return;
    now_s = (double)vly_world_now_ns(s->world) / 1e9;
    scenario_fini(s);
    fail_msg("seed %" PRIu64 ": not done after %.6f s: %" PRIu64 " bytes received; client: %s; "
             "server: %s",
             s->seed, now_s, s->receiver.stream_bytes_received, end_of(&s->bulk.side[VLY_CLIENT]),
             end_of(&s->bulk.side[VLY_SERVER]));
}

bool scenario_is_intact(const struct scenario *s)
{
    return vly_bulk_is_intact(&s->bulk);
}

const struct vly_link_counters *scenario_counters(const struct scenario *s, enum scenario_way way)
{
    return &vly_world_link(s->world, ends[way].from, ends[way].to)->counters;
}

/* A number from the environment, 0 when there is none. */
static uint64_t from_environment(const char *name)
{
    const char *text = getenv(name);
    char *end;
    uint64_t n;

    if (text == NULL || text[0] == '\0')
        return 0;
    errno = 0;
    n = strtoull(text, &end, 0);
    if (*end != '\0' || errno != 0)
        fail_msg("%s is not a number: %s", name, text);
    return n;
}

uint64_t scenario_scaled(uint64_t optimised, uint64_t slow)
{
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    (void)slow;
    return optimised;
#else
    (void)optimised;
    return slow;
#endif
}

size_t scenario_seeds(void)
{
    uint64_t n = from_environment("VLY_SCENARIO_SEEDS");

    if (n == 0)
        n = scenario_scaled(100, 30);
    return n < SCENARIO_SEEDS_MAX ? (size_t)n : SCENARIO_SEEDS_MAX;
}

uint64_t scenario_first_seed(void)
{
    uint64_t seed = from_environment("VLY_SEED");

    return seed != 0 ? seed : 1;
}

void scenario_sample_add(struct scenario_sample *sample, uint64_t value)
{
    assert_true(sample->n < SCENARIO_SEEDS_MAX);
    sample->value[sample->n++] = value;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

uint64_t scenario_quantile(struct scenario_sample *sample, double q)
{
    size_t at = (size_t)(q * (double)sample->n);

    assert_true(sample->n > 0 && q >= 0 && q <= 1);
    qsort(sample->value, sample->n, sizeof(sample->value[0]), by_value);
    return sample->value[at < sample->n ? at : sample->n - 1];
}
