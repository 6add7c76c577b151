/*
 * peer_iperf3 - see peer_iperf3.h. What arrived is what the receiving end says of each interval;
 * what concerns sending is from the other end.
 *
 * Its server stops counting when the client has handed over the last byte: with a number of bytes
 * what is still on the way then is not in the figure. Of UDP that can be everything, and a client
 * that receives waits for ever for what was lost: UDP takes a duration alone.
 */
#include "bench/rows/peer_iperf3.h"

#include "bench/rows/peer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_BYTES (UINT64_C(128) << 10)
#define INTERVAL_MIN_NS VLY_MS(100) /* iperf3's own limits */
#define INTERVAL_MAX_NS VLY_S(60)

static bool is_udp(const struct bench_row *row)
{
    return strcmp(row->protocol, "iperf3-udp") == 0;
}

/* ---- arguments ---- */

static bool has_warmup(const struct bench_row *row)
{
    return row->bytes == 0 && row->warmup_ns != 0;
}

/* One interval or more make the warm-up, so that it can be left out. */
static uint64_t interval_ns(const struct bench_row *row)
{
    uint64_t ns = row->interval_ns;

    if (ns == 0)
        ns = has_warmup(row) ? row->warmup_ns : VLY_S(1);
    if (has_warmup(row) && ns > row->warmup_ns)
        ns = row->warmup_ns;
    if (ns > INTERVAL_MAX_NS)
        return INTERVAL_MAX_NS;
    return ns < INTERVAL_MIN_NS ? INTERVAL_MIN_NS : ns;
}

static void add_interval(const struct bench_row *row, struct bench_argv *argv)
{
    bench_argv_add(argv, "-i");
    bench_argv_add(argv, "%.9g", (double)interval_ns(row) / 1e9);
}

static void server(const struct bench_job *job, struct bench_argv *argv)
{
    bench_argv_add(argv, "iperf3");
    bench_argv_add(argv, "-s");
    bench_argv_add(argv, "-1");
    bench_argv_add(argv, "-J");
    bench_argv_add(argv, "-B");
    bench_argv_add(argv, "%s", job->host);
    bench_argv_add(argv, "-p");
    bench_argv_add(argv, "%u", job->port);
    add_interval(job->row, argv);
}

/* It takes whole seconds: rounded up. */
static void add_length(const struct bench_row *row, struct bench_argv *argv)
{
    uint64_t run_ns = vly_time_add(row->duration_ns, row->warmup_ns);

    bench_argv_add(argv, row->bytes != 0 ? "-n" : "-t");
    bench_argv_add(argv, "%" PRIu64,
                   row->bytes != 0 ? row->bytes : run_ns / VLY_S(1) + (run_ns % VLY_S(1) != 0));
}

/* A datagram's size is left to iperf3, which takes what fits the path's MTU. */
static void add_block(const struct bench_row *row, struct bench_argv *argv)
{
    uint64_t bytes = row->block_bytes != 0 ? row->block_bytes : BLOCK_BYTES;

    if (is_udp(row))
        bytes = row->mss_bytes;
    if (bytes == 0)
        return;
    bench_argv_add(argv, "-l");
    bench_argv_add(argv, "%" PRIu64, bytes);
}

static void client(const struct bench_job *job, struct bench_argv *argv)
{
    const struct bench_row *row = job->row;
    unsigned parallel = row->parallel == 0 ? 1 : row->parallel;

    bench_argv_add(argv, "iperf3");
    bench_argv_add(argv, "-c");
    bench_argv_add(argv, "%s", job->host);
    bench_argv_add(argv, "-p");
    bench_argv_add(argv, "%u", job->port);
    bench_argv_add(argv, "-J");
    add_length(row, argv);
    add_interval(row, argv);
    bench_argv_add(argv, "-P");
    bench_argv_add(argv, "%u", parallel);
    add_block(row, argv);
    if (is_udp(row))
        bench_argv_add(argv, "-u");
    if (is_udp(row) || row->rate_bytes_per_s != 0) { /* of each stream; 0: no limit */
        bench_argv_add(argv, "-b");
        bench_argv_add(argv, "%" PRIu64, row->rate_bytes_per_s * 8 / parallel);
    }
    if (row->cc[0] != '\0') {
        bench_argv_add(argv, "-C");
        bench_argv_add(argv, "%s", row->cc);
    }
    if (!is_udp(row) && row->mss_bytes != 0) {
        bench_argv_add(argv, "-M");
        bench_argv_add(argv, "%u", row->mss_bytes);
    }
    if (row->reverse)
        bench_argv_add(argv, "-R");
}

/* ---- results ---- */

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* A count; what is not known, negative or absurd is BENCH_UNKNOWN. */
static uint64_t count_of(const json_t *object, const char *key, double scale)
{
    double value = number_of(object, key) * scale;

    return value >= 0 && value < 9e18 ? (uint64_t)(value + 0.5) : BENCH_UNKNOWN;
}

static void add(uint64_t *sum, uint64_t value)
{
    if (*sum == BENCH_UNKNOWN)
        *sum = value;
    else if (value != BENCH_UNKNOWN)
        *sum += value;
}

/* The sum over the streams of an interval; "rtt" is a mean instead. */
static uint64_t streams_sum(const json_t *interval, const char *key)
{
    const json_t *streams = json_object_get(interval, "streams");
    uint64_t sum = BENCH_UNKNOWN;
    size_t i;
    const json_t *stream;

    json_array_foreach(streams, i, stream) add(&sum, count_of(stream, key, 1));
    return sum;
}

static uint64_t mean_rtt_ns(const json_t *interval)
{
    uint64_t sum_us = streams_sum(interval, "rtt");
    size_t n = json_array_size(json_object_get(interval, "streams"));

    return sum_us == BENCH_UNKNOWN || n == 0 ? BENCH_UNKNOWN : sum_us * VLY_US(1) / n;
}

/* The interval of the other end that ends next to `end_s`, NULL when there is none near. */
static const json_t *interval_near(const json_t *intervals, double end_s, double tolerance_s)
{
    const json_t *best = NULL, *interval;
    size_t i;

    json_array_foreach(intervals, i, interval)
    {
        double distance_s = fabs(number_of(json_object_get(interval, "sum"), "end") - end_s);
        if (distance_s <= tolerance_s) {
            tolerance_s = distance_s;
            best = interval;
        }
    }
    return best;
}

static json_t *json_count(uint64_t value)
{
    return value > INT64_MAX ? json_null() : json_integer((json_int_t)value);
}

static json_t *interval_object(const json_t *received, const json_t *sent)
{
    const json_t *sum = json_object_get(received, "sum");

    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o}", "begin_ns", json_count(count_of(sum, "start", 1e9)),
        "end_ns", json_count(count_of(sum, "end", 1e9)), "bytes",
        json_count(count_of(sum, "bytes", 1)), "cwnd_bytes",
        json_count(streams_sum(sent, "snd_cwnd")), "smoothed_rtt_ns", json_count(mean_rtt_ns(sent)),
        "retransmits", json_count(streams_sum(sent, "retransmits")));
}

struct reading {
    const struct bench_row *row;
    const json_t *end;             /* of the client, who knows both ends' totals */
    const json_t *received, *sent; /* the intervals of either end */
    double interval_s, warmup_s;
};

/* What is after the warm-up: it ends with the interval that ends next to it. */
static bool counts(const struct reading *r, const json_t *sum)
{
    return number_of(sum, "end") > r->warmup_s + r->interval_s / 2;
}

static void read_received(const struct reading *r, struct bench_sample *out)
{
    double begin_s = NAN, end_s = NAN;
    const json_t *interval;
    size_t i;

    out->bytes = 0;
    out->total_bytes = 0;
    json_array_foreach(r->received, i, interval)
    {
        const json_t *sum = json_object_get(interval, "sum");
        uint64_t bytes = count_of(sum, "bytes", 1);
        add(&out->total_bytes, bytes);
        if (!counts(r, sum))
            continue;
        add(&out->bytes, bytes);
        if (isnan(begin_s))
            begin_s = number_of(sum, "start");
        end_s = number_of(sum, "end");
    }
    if (end_s > begin_s)
        out->duration_ns = (uint64_t)((end_s - begin_s) * 1e9 + 0.5);
}

static void read_sent(const struct reading *r, struct bench_sample *out)
{
    const json_t *interval;
    const json_t *last = NULL;
    size_t i;

    json_array_foreach(r->sent, i, interval)
    {
        const json_t *sum = json_object_get(interval, "sum");
        if (!counts(r, sum))
            continue;
        add(&out->sent_bytes, count_of(sum, "bytes", 1));
        add(&out->retransmits, count_of(sum, "retransmits", 1));
        add(&out->packets_sent, count_of(sum, "packets", 1));
        last = interval;
    }
    if (last == NULL)
        return;
    out->smoothed_rtt_ns = mean_rtt_ns(last);
    out->cwnd_bytes = streams_sum(last, "snd_cwnd");
}

/* Without a warm-up the totals are right, and what they say is exact to the last byte. */
static void read_totals(const struct reading *r, struct bench_sample *out)
{
    const json_t *received = json_object_get(r->end, "sum_received");
    const json_t *sent = json_object_get(r->end, "sum_sent");

    out->bytes = count_of(received, "bytes", 1);
    out->total_bytes = out->bytes;
    out->duration_ns = count_of(received, "seconds", 1e9);
    out->sent_bytes = count_of(sent, "bytes", 1);
}

static int read_intervals(const struct reading *r, struct bench_sample *out)
{
    const json_t *received;
    size_t i;

    out->intervals = json_array();
    json_array_foreach(r->received, i, received)
    {
        double end_s = number_of(json_object_get(received, "sum"), "end");
        json_t *o = interval_object(received, interval_near(r->sent, end_s, r->interval_s / 2));
        if (o == NULL || json_array_append_new(out->intervals, o) != 0)
            return VLY_E_NOMEM;
    }
    return out->intervals != NULL ? 0 : VLY_E_NOMEM;
}

static const json_t *intervals_of(const json_t *report)
{
    const json_t *intervals = json_object_get(report, "intervals");

    return json_array_size(intervals) > 0 ? intervals : NULL;
}

static int read_reports(const struct bench_row *row, const json_t *at_client,
                        const json_t *at_server, struct bench_sample *out)
{
    const char *error = json_string_value(json_object_get(at_client, "error"));
    struct reading r = {
        .row = row,
        .end = json_object_get(at_client, "end"),
        .received = intervals_of(row->reverse ? at_client : at_server),
        .sent = intervals_of(row->reverse ? at_server : at_client),
        .interval_s = (double)interval_ns(row) / 1e9,
        .warmup_s = has_warmup(row) ? (double)row->warmup_ns / 1e9 : 0,
    };
    const char *cc = json_string_value(json_object_get(r.end, "sender_tcp_congestion"));

    if (error != NULL)
        return bench_sample_fail(out, VLY_E_FAILED, "iperf3: %.200s", error);
    if (has_warmup(row) && (r.received == NULL || r.sent == NULL))
        return bench_sample_fail(out, VLY_E_MALFORMED, "iperf3 printed no intervals");
    /* A run shorter than an interval is one interval, which must not be taken for the warm-up. */
    if (!has_warmup(row))
        r.warmup_s = -r.interval_s;
    read_received(&r, out);
    read_sent(&r, out);
    if (!has_warmup(row))
        read_totals(&r, out);
    if (out->bytes == BENCH_UNKNOWN || out->duration_ns == BENCH_UNKNOWN || out->duration_ns == 0)
        return bench_sample_fail(out, VLY_E_MALFORMED, "iperf3 printed no totals");
    (void)snprintf(out->cc, sizeof(out->cc), "%.15s", cc != NULL ? cc : "");
    (void)snprintf(out->io, sizeof(out->io), "%s", is_udp(row) ? "udp" : "tcp");
    if (row->interval_ns != 0 && read_intervals(&r, out) != 0)
        return bench_sample_fail(out, VLY_E_NOMEM, "out of memory");
    return 0;
}

int bench_iperf3_read(const struct bench_row *row, const char *client_text, const char *server_text,
                      struct bench_sample *out)
{
    json_t *at_client = json_loads(client_text, 0, NULL);
    json_t *at_server = json_loads(server_text, 0, NULL);
    int err;

    if (at_client == NULL || at_server == NULL)
        err = bench_sample_fail(out, VLY_E_MALFORMED, "iperf3: the %s printed no JSON",
                                at_client == NULL ? "client" : "server");
    else
        err = read_reports(row, at_client, at_server, out);
    json_decref(at_client);
    json_decref(at_server);
    return err;
}

static int result(const struct bench_job *job, struct bench_sample *out)
{
    const char *at_client = job->client->out;
    const char *at_server = job->server->out;

    return bench_iperf3_read(job->row, at_client != NULL ? at_client : "",
                             at_server != NULL ? at_server : "", out);
}

/* With -J it says in its JSON what failed. */
static bool reason(const struct bench_child *c, int *err, char why[BENCH_WHY_BYTES])
{
    json_t *report = c->out != NULL ? json_loads(c->out, 0, NULL) : NULL;
    const char *error = json_string_value(json_object_get(report, "error"));

    if (error != NULL) {
        *err = VLY_E_FAILED;
        (void)snprintf(why, BENCH_WHY_BYTES, "iperf3: %.200s", error);
    }
    json_decref(report);
    return error != NULL;
}

#define IPERF3(name, udp, can_do)                                                        \
    {                                                                                    \
        .protocol = (name), .kind = BENCH_MEMORY, .needs = {{"iperf3", "iperf3"}},       \
        .can = (can_do) | BENCH_CAN_RATE | BENCH_CAN_MSS | BENCH_CAN_PARALLEL,           \
        .ends_itself = true, .end_is_arrival = true, .by_time = (udp), .server = server, \
        .client = client, .result = result, .reason = reason,                            \
    }

const struct bench_peer bench_peers_iperf3[] = {
    IPERF3("iperf3-tcp", false, BENCH_CAN_CC_TCP),
    IPERF3("iperf3-udp", true, 0),
    {.protocol = NULL},
};
