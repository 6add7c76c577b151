/*
 * load_half - one way of a run at one end: warm-up, intervals, the end, and the figures.
 *
 * Cost: the clock is read at the first byte and the last, by raw UDP once a batch, and by the
 * timer; counting is three additions.
 */
#include "bench/load/load_internal.h"

#include "cli/quantity.h"
#include "net/clock.h"

#include <stdlib.h>
#include <string.h>

/* Raw UDP has ended when the sender says so and nothing has come for so long. */
#define QUIET_NS VLY_MS(250)

int bench_half_init(struct bench_load *load, enum bench_way way)
{
    struct bench_half *h = &load->halves[way];

    h->way = way;
    h->used = true;
    h->sends = bench_request_sends(&load->request, load->server, way);
    h->started_ns = vly_clock_now_ns();
    memset(&h->state, 0xff, offsetof(struct bench_flow_state, cc)); /* unknown */
    h->streams = calloc(2 * load->request.parallel, sizeof(*h->streams));
    if (h->streams == NULL)
        return VLY_E_NOMEM;
    h->interval_streams = h->streams + load->request.parallel;
    return 0;
}

void bench_half_fini(struct bench_half *h)
{
    free(h->streams);
    h->streams = NULL;
}

static void state_now(const struct bench_load *load, const struct bench_half *h,
                      struct bench_flow_state *out)
{
    memset(out, 0xff, sizeof(*out));
    out->cc[0] = out->io[0] = out->suite[0] = out->crypto[0] = '\0';
    load->flow->ops->state(load->flow, h->way, out);
}

/* What has been added since `then`; unknown stays unknown. */
static uint64_t since(uint64_t now, uint64_t then)
{
    if (now == BENCH_UNKNOWN || then == BENCH_UNKNOWN)
        return now;
    return now > then ? now - then : 0;
}

void bench_half_start(struct bench_load *load, struct bench_half *h, uint64_t now_ns)
{
    h->started_ns = h->progress_ns = now_ns;
    if (!h->sends)
        return;
    h->first_ns = now_ns;
    /* What is told of the sender comes amid the receiver's intervals, not too late for them. */
    h->interval_ns = now_ns - load->request.interval_ns / 2;
    state_now(load, h, &h->warm_state);
}

/* ---- intervals ---- */

json_t *bench_load_interval_to_json(const struct bench_load_interval *i)
{
    json_t *o = json_object();
    int bad = o == NULL;
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {
        {"begin_ns", i->begin_ns},
        {"end_ns", i->end_ns},
        {"bytes", i->bytes},
        {"cwnd_bytes", i->cwnd_bytes},
        {"smoothed_rtt_ns", i->smoothed_rtt_ns},
        {"in_flight_bytes", i->in_flight_bytes},
        {"retransmits", i->retransmits},
        {"kernel_drops", i->kernel_drops},
    };

    for (size_t n = 0; n < sizeof(figures) / sizeof(figures[0]); n++)
        bad |= json_object_set_new(o, figures[n].name,
                                   figures[n].value > INT64_MAX
                                       ? json_null()
                                       : json_integer((json_int_t)figures[n].value));
    if (bad == 0)
        return o;
    json_decref(o);
    return NULL;
}

/* Client: adds what the sender knows, and hands it on. */
static void interval_emit(struct bench_load *load, struct bench_load_interval *i)
{
    struct bench_half *h = &load->halves[i->way];
    struct bench_sample *s = bench_load_sample(load, i->way);

    if (i->stream < 0) {
        if (h->sends)
            state_now(load, h, &h->state);
        i->cwnd_bytes = h->state.cwnd_bytes;
        i->smoothed_rtt_ns = h->state.smoothed_rtt_ns;
        i->in_flight_bytes = h->state.in_flight_bytes;
        i->retransmits = since(h->state.retransmits, h->retransmits_told);
        if (h->state.retransmits != BENCH_UNKNOWN)
            h->retransmits_told = h->state.retransmits;
        if (s->intervals == NULL)
            s->intervals = json_array();
        if (json_array_size(s->intervals) < BENCH_INTERVALS_MAX)
            (void)json_array_append_new(s->intervals, bench_load_interval_to_json(i));
    }
    if (load->client->on_interval != NULL)
        load->client->on_interval(load->client->user, i);
}

static struct bench_load_interval interval_of(enum bench_way way, uint64_t begin_ns,
                                              uint64_t end_ns)
{
    return (struct bench_load_interval){
        .way = way,
        .stream = -1,
        .begin_ns = begin_ns,
        .end_ns = end_ns,
        .cwnd_bytes = BENCH_UNKNOWN,
        .smoothed_rtt_ns = BENCH_UNKNOWN,
        .in_flight_bytes = BENCH_UNKNOWN,
        .retransmits = BENCH_UNKNOWN,
        .kernel_drops = BENCH_UNKNOWN,
    };
}

/* `streams`: what arrived of each in the interval. */
static void interval_hand_on(struct bench_load *load, struct bench_load_interval *sum,
                             const uint64_t *streams)
{
    struct bench_load_interval one = interval_of(sum->way, sum->begin_ns, sum->end_ns);

    for (unsigned i = 0; i < load->request.parallel && load->request.parallel > 1; i++) {
        one.stream = (int)i;
        one.bytes = streams[i];
        interval_emit(load, &one);
    }
    interval_emit(load, sum);
}

static void interval_tell(struct bench_load *load, const struct bench_load_interval *sum,
                          const uint64_t *streams)
{
    json_t *message = bench_message("interval");
    json_t *list = json_array();

    for (unsigned i = 0; i < load->request.parallel; i++)
        (void)json_array_append_new(list, json_integer((json_int_t)streams[i]));
    if (message != NULL) {
        (void)json_object_set_new(message, "way", json_string(bench_way_name(sum->way)));
        (void)json_object_set_new(message, "figures", bench_load_interval_to_json(sum));
        (void)json_object_set(message, "streams", list);
    }
    json_decref(list);
    bench_control_send(&load->control, message);
}

/* The receiver's interval ends at `now_ns`. */
static void interval_end(struct bench_load *load, struct bench_half *h, uint64_t now_ns)
{
    struct bench_load_interval sum =
        interval_of(h->way, h->interval_ns - h->first_ns, now_ns - h->first_ns);
    uint64_t streams[BENCH_PARALLEL_MAX] = {0};
    struct bench_flow_state state;

    state_now(load, h, &state);
    sum.bytes = h->moved_bytes - h->interval_bytes;
    sum.kernel_drops = since(state.kernel_drops, h->interval_drops);
    for (unsigned i = 0; i < load->request.parallel; i++) {
        streams[i] = h->streams[i] - h->interval_streams[i];
        h->interval_streams[i] = h->streams[i];
    }
    h->interval_ns = now_ns;
    h->interval_bytes = h->moved_bytes;
    h->interval_drops = state.kernel_drops != BENCH_UNKNOWN ? state.kernel_drops : 0;
    if (load->server)
        interval_tell(load, &sum, streams);
    else
        interval_hand_on(load, &sum, streams);
}

static void state_tell(struct bench_load *load, struct bench_half *h)
{
    json_t *message = bench_message("state");
    struct bench_load_interval figures = interval_of(h->way, 0, 0);
    struct bench_flow_state state;

    state_now(load, h, &state);
    figures.cwnd_bytes = state.cwnd_bytes;
    figures.smoothed_rtt_ns = state.smoothed_rtt_ns;
    figures.in_flight_bytes = state.in_flight_bytes;
    figures.retransmits = state.retransmits;
    if (message != NULL) {
        (void)json_object_set_new(message, "way", json_string(bench_way_name(h->way)));
        (void)json_object_set_new(message, "figures", bench_load_interval_to_json(&figures));
    }
    bench_control_send(&load->control, message);
}

static uint64_t figure(const json_t *message, const char *name)
{
    const json_t *value = json_object_get(json_object_get(message, "figures"), name);

    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (uint64_t)json_integer_value(value)
               : BENCH_UNKNOWN;
}

void bench_half_take_interval(struct bench_load *load, const json_t *message)
{
    const json_t *list = json_object_get(message, "streams");
    uint64_t streams[BENCH_PARALLEL_MAX] = {0};
    struct bench_load_interval sum;
    enum bench_way way;

    if (!bench_way_parse(message, &way) || !load->halves[way].used || !load->halves[way].sends)
        return;
    sum = interval_of(way, figure(message, "begin_ns"), figure(message, "end_ns"));
    sum.bytes = figure(message, "bytes");
    sum.kernel_drops = figure(message, "kernel_drops");
    if (sum.begin_ns == BENCH_UNKNOWN || sum.end_ns == BENCH_UNKNOWN || sum.bytes == BENCH_UNKNOWN)
        return;
    for (unsigned i = 0; i < load->request.parallel; i++)
        streams[i] = (uint64_t)json_integer_value(json_array_get(list, i));
    interval_hand_on(load, &sum, streams);
}

void bench_half_take_state(struct bench_load *load, const json_t *message)
{
    struct bench_flow_state *state;
    enum bench_way way;

    if (!bench_way_parse(message, &way))
        return;
    state = &load->halves[way].state;
    state->cwnd_bytes = figure(message, "cwnd_bytes");
    state->smoothed_rtt_ns = figure(message, "smoothed_rtt_ns");
    state->in_flight_bytes = figure(message, "in_flight_bytes");
    state->retransmits = figure(message, "retransmits");
}

/* ---- the end ---- */

static void half_over(struct bench_load *load, struct bench_half *h)
{
    h->over = true;
    bench_load_half_over(load);
}

/* The receiver has enough. */
static void receiver_over(struct bench_load *load, struct bench_half *h, uint64_t now_ns)
{
    struct bench_sample *s = bench_load_sample(load, h->way);
    struct bench_flow_state state;
    uint64_t begin_ns = h->warm ? h->warm_ns : h->first_ns;

    if (load->request.interval_ns != 0 && now_ns > h->interval_ns)
        interval_end(load, h, now_ns);
    state_now(load, h, &state);
    /* A number of bytes is complete so long after both ends stood ready: what the first byte came
     * with would not have taken any time. */
    if (load->request.bytes != 0 || begin_ns == now_ns)
        begin_ns = h->started_ns < now_ns ? h->started_ns : now_ns - 1;
    s->bytes = h->moved_bytes - h->warm_bytes;
    s->total_bytes = h->moved_bytes;
    s->duration_ns = now_ns - begin_ns;
    s->kernel_drops =
        h->warm ? since(state.kernel_drops, h->warm_state.kernel_drops) : state.kernel_drops;
    bench_load_tell_way(load, "stop", h->way);
    half_over(load, h);
}

/* The sender's figures, in a time as long as the receiver's; the word to stop comes half a round
 * trip too late for them. */
static void sender_counts(struct bench_load *load, struct bench_half *h)
{
    struct bench_sample *s = bench_load_sample(load, h->way);
    struct bench_flow_state state;

    if (h->counted)
        return;
    h->counted = true;
    state_now(load, h, &state);
    s->sent_bytes = h->moved_bytes - h->warm_bytes;
    s->retransmits = since(state.retransmits, h->warm_state.retransmits);
    s->packets_sent = since(state.packets_sent, h->warm_state.packets_sent);
    s->smoothed_rtt_ns = state.smoothed_rtt_ns;
    s->cwnd_bytes = state.cwnd_bytes;
    s->datagram_bytes = state.datagram_bytes;
    memcpy(s->cc, state.cc, sizeof(s->cc));
    memcpy(s->io, state.io, sizeof(s->io));
    memcpy(s->suite, state.suite, sizeof(s->suite));
    memcpy(s->crypto, state.crypto, sizeof(s->crypto));
}

void bench_half_stop(struct bench_load *load, struct bench_half *h)
{
    sender_counts(load, h);
    load->flow->ops->halt(load->flow, h->way);
    half_over(load, h);
}

/* ---- what moves ---- */

void bench_load_arrived(struct bench_load *load, enum bench_way way, unsigned stream,
                        uint64_t bytes)
{
    struct bench_half *h = &load->halves[way];
    bool raw = load->request.protocol == BENCH_UDP_RAW;

    if (h->over)
        return;
    if (h->first_ns == 0) {
        h->first_ns = h->interval_ns = vly_clock_now_ns();
        bench_load_wake(load);
    }
    h->moved_bytes += bytes;
    h->streams[stream] += bytes;
    if (raw)
        h->last_ns = vly_clock_now_ns();
    if (load->request.bytes != 0 && h->moved_bytes >= load->request.bytes)
        receiver_over(load, h, vly_clock_now_ns());
}

void bench_load_handed(struct bench_load *load, enum bench_way way, uint64_t bytes)
{
    load->halves[way].moved_bytes += bytes;
}

void bench_load_all_handed(struct bench_load *load, enum bench_way way)
{
    bench_load_tell_way(load, "sent", way);
}

/* ---- time ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void warm_up_ends(struct bench_load *load, struct bench_half *h, uint64_t now_ns)
{
    h->warm = true;
    h->warm_ns = now_ns;
    h->warm_bytes = h->moved_bytes;
    state_now(load, h, &h->warm_state);
}

/* Nothing moves: something is broken that neither end's system has noticed. */
static uint64_t check_progress(struct bench_load *load, struct bench_half *h, uint64_t now_ns)
{
    if (h->moved_bytes != h->progress_bytes || (h->all_handed && h->first_ns != 0)) {
        h->progress_bytes = h->moved_bytes;
        h->progress_ns = now_ns;
    }
    if (now_ns - h->progress_ns >= load->request.timeout_ns)
        bench_load_fail(load, VLY_E_NO_ANSWER, "no data arrived for %s",
                        vly_duration_text(load->request.timeout_ns).s);
    return now_ns + load->request.timeout_ns / 4;
}

static uint64_t receiver_tick(struct bench_load *load, struct bench_half *h, uint64_t now_ns)
{
    const struct bench_request *r = &load->request;
    uint64_t end_ns = VLY_NEVER;
    uint64_t next_ns;

    if (r->interval_ns != 0 && h->first_ns != 0 && now_ns >= h->interval_ns + r->interval_ns)
        interval_end(load, h, now_ns);
    if (h->first_ns != 0 && r->duration_ns != 0)
        end_ns = (h->warm ? h->warm_ns : h->first_ns + r->warmup_ns) + r->duration_ns;
    if (h->all_handed && h->first_ns != 0)
        end_ns = h->last_ns + QUIET_NS;
    if (now_ns >= end_ns) {
        receiver_over(load, h, h->all_handed ? h->last_ns : now_ns);
        return VLY_NEVER;
    }
    next_ns = least(end_ns, check_progress(load, h, now_ns));
    if (r->interval_ns != 0 && h->first_ns != 0)
        next_ns = least(next_ns, h->interval_ns + r->interval_ns);
    return next_ns;
}

static uint64_t sender_tick(struct bench_load *load, struct bench_half *h, uint64_t now_ns)
{
    const struct bench_request *r = &load->request;
    uint64_t end_ns = VLY_NEVER;

    if (r->duration_ns != 0 && !h->counted)
        end_ns = (h->warm ? h->warm_ns : h->first_ns + r->warmup_ns) + r->duration_ns;
    if (now_ns >= end_ns) {
        sender_counts(load, h);
        end_ns = VLY_NEVER;
    }
    if (!load->server || r->interval_ns == 0)
        return end_ns;
    if (now_ns >= h->interval_ns + r->interval_ns) {
        h->interval_ns = now_ns;
        state_tell(load, h);
    }
    return least(end_ns, h->interval_ns + r->interval_ns);
}

uint64_t bench_half_tick(struct bench_load *load, struct bench_half *h, uint64_t now_ns)
{
    uint64_t warm_at_ns = VLY_NEVER;
    uint64_t next_ns;

    if (!h->used || h->over)
        return VLY_NEVER;
    if (h->first_ns != 0 && load->request.warmup_ns != 0 && !h->warm) {
        warm_at_ns = h->first_ns + load->request.warmup_ns;
        if (now_ns >= warm_at_ns) {
            warm_up_ends(load, h, now_ns);
            warm_at_ns = VLY_NEVER;
        }
    }
    next_ns = h->sends ? sender_tick(load, h, now_ns) : receiver_tick(load, h, now_ns);
    return least(next_ns, warm_at_ns);
}
