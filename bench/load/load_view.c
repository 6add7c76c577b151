/*
 * load_view - what volley bench run shows: intervals and a summary for people, events for programs.
 */
#include "bench/load/load_view.h"

#include "cli/json_out.h"
#include "cli/quantity.h"
#include "file/path.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A figure that may be unknown, by value. */
static struct vly_text known(uint64_t value, struct vly_text (*text)(uint64_t value))
{
    return value != BENCH_UNKNOWN ? text(value) : (struct vly_text){"-"};
}

static struct vly_text count_text(uint64_t value)
{
    struct vly_text t;

    (void)snprintf(t.s, sizeof(t.s), "%" PRIu64, value);
    return t;
}

static const char *protection_text(enum bench_protocol protocol)
{
    if (protocol == BENCH_TLS)
        return ", TLS 1.3 AES-128-GCM";
    return bench_protocol_is_sealed(protocol) ? ", encrypted" : ", not encrypted";
}

static struct vly_text goodput_text(uint64_t bytes, uint64_t duration_ns)
{
    if (bytes == BENCH_UNKNOWN || duration_ns == BENCH_UNKNOWN || duration_ns == 0)
        return (struct vly_text){"-"};
    return vly_rate_text((double)bytes * 1e9 / (double)duration_ns);
}

static const char *way_text(const struct bench_load_view *v, enum bench_way way)
{
    if (!v->request->bidir)
        return "";
    return way == BENCH_FORWARD ? " forward" : " back";
}

/* ---- during the run ---- */

void bench_load_view_begin(struct bench_load_view *v, const char *server)
{
    const struct bench_request *r = v->request;
    struct vly_text amount =
        r->bytes != 0 ? vly_bytes_text(r->bytes) : vly_duration_text(r->duration_ns);

    if (v->cli.json || v->quiet)
        return;
    vly_cli_say(&v->cli, "%s%s %s by %s, %" PRIu64 " connection%s%s%s", r->reverse ? "from" : "to",
                r->bidir ? " and from" : "", vly_shown(server).text,
                bench_protocol_name(r->protocol), r->parallel, r->parallel == 1 ? ", " : "s, ",
                amount.s, protection_text(r->protocol));
}

static void interval_json(const struct bench_load_interval *i)
{
    json_t *event = vly_json_event("interval");
    json_t *figures = bench_load_interval_to_json(i);

    if (event != NULL) {
        (void)json_object_set_new(event, "side",
                                  json_string(i->way == BENCH_FORWARD ? "forward" : "back"));
        (void)json_object_set_new(event, "stream",
                                  i->stream < 0 ? json_null() : json_integer(i->stream));
        (void)json_object_update(event, figures);
    }
    json_decref(figures);
    vly_json_emit(event);
}

static void row(struct bench_load_view *v, const struct bench_load_interval *i)
{
    char time[32], stream[16] = "";

    if (!v->headed)
        printf("%15s  %6s %12s %12s %12s %12s %8s %8s\n", "time", "stream", "arrived", "goodput",
               "cwnd", "rtt", "retrans", "drops");
    v->headed = true;
    (void)snprintf(time, sizeof(time), "%.2f-%.2f s", (double)i->begin_ns / 1e9,
                   (double)i->end_ns / 1e9);
    if (i->stream >= 0)
        (void)snprintf(stream, sizeof(stream), "%d", i->stream);
    else if (v->request->parallel > 1)
        (void)snprintf(stream, sizeof(stream), "sum");
    printf("%15s  %6s %12s %12s %12s %12s %8s %8s%s\n", time, stream, vly_bytes_text(i->bytes).s,
           goodput_text(i->bytes, i->end_ns - i->begin_ns).s,
           known(i->cwnd_bytes, vly_bytes_text).s, known(i->smoothed_rtt_ns, vly_duration_text).s,
           known(i->retransmits, count_text).s, known(i->kernel_drops, count_text).s,
           way_text(v, i->way));
    (void)fflush(stdout);
}

void bench_load_view_interval(struct bench_load_view *v, const struct bench_load_interval *i)
{
    if (v->cli.json)
        interval_json(i);
    else if (!v->quiet)
        row(v, i);
}

/* ---- the end ---- */

static void result_json(const struct bench_load_view *v, const struct bench_load_result *result)
{
    json_t *event = vly_json_event("result");
    bool both = v->request->bidir && result->forward.err == 0;

    if (event != NULL) {
        (void)json_object_set_new(event, "sample", bench_sample_to_json(&result->forward));
        (void)json_object_set_new(event, "back",
                                  both ? bench_sample_to_json(&result->back) : json_null());
    }
    vly_json_emit(event);
}

/* What is known of them. */
static void say_packets(const struct bench_sample *s)
{
    const char *separator = "";

    if (s->packets_sent != BENCH_UNKNOWN) {
        printf("%s packets sent", count_text(s->packets_sent).s);
        separator = ", ";
    }
    if (s->retransmits != BENCH_UNKNOWN) {
        printf("%s%s %s again", separator, count_text(s->retransmits).s,
               s->packets_sent != BENCH_UNKNOWN ? "of them" : "packets sent");
        separator = ", ";
    }
    if (s->kernel_drops != BENCH_UNKNOWN) {
        printf("%s%s dropped by the receiving kernel", separator, count_text(s->kernel_drops).s);
        separator = ", ";
    }
    if (s->datagram_bytes != BENCH_UNKNOWN) {
        printf("%sdatagrams of up to %" PRIu64 " bytes", separator, s->datagram_bytes);
        separator = ", ";
    }
    if (s->cc[0] != '\0')
        printf("%scongestion control %s", separator, vly_shown(s->cc).text);
    if (s->suite[0] != '\0' && strcmp(s->suite, "plain") != 0)
        printf("\n%s by %s", vly_shown(s->suite).text, vly_shown(s->crypto).text);
    printf("\n");
}

static void say_way(const struct bench_load_view *v, enum bench_way way,
                    const struct bench_sample *s)
{
    printf("\n%s: %s arrived in %s: %s", way == BENCH_FORWARD ? "goodput" : "and back",
           known(s->bytes, vly_bytes_text).s, known(s->duration_ns, vly_duration_text).s,
           goodput_text(s->bytes, s->duration_ns).s);
    if (v->request->protocol == BENCH_UDP_RAW && s->sent_bytes != BENCH_UNKNOWN &&
        s->sent_bytes > 0 && s->bytes != BENCH_UNKNOWN)
        printf("; sent %s, %.2f %% of it lost", goodput_text(s->sent_bytes, s->duration_ns).s,
               fmax(0, 100 - 100 * (double)s->bytes / (double)s->sent_bytes));
    printf("\n");
    say_packets(s);
}

static double cpu_s_per_gb(uint64_t cpu_ns, uint64_t bytes)
{
    return bytes > 0 ? (double)cpu_ns / (double)bytes : 0;
}

static void say_cpu(const struct bench_sample *s)
{
    if (s->cpu_sender_ns == BENCH_UNKNOWN || s->cpu_receiver_ns == BENCH_UNKNOWN ||
        s->total_bytes == BENCH_UNKNOWN || s->total_bytes == 0)
        return;
    printf("CPU seconds for each GB: sender %.3f, receiver %.3f",
           cpu_s_per_gb(s->cpu_sender_ns, s->total_bytes),
           cpu_s_per_gb(s->cpu_receiver_ns, s->total_bytes));
    if (s->cpu_softirq_ns != BENCH_UNKNOWN)
        printf(", interrupts of this machine %.3f",
               cpu_s_per_gb(s->cpu_softirq_ns, s->total_bytes));
    if (!isnan(bench_sample_steal(s)))
        printf("; stolen by its host: %.1f %%", 100 * bench_sample_steal(s));
    printf("\n");
}

static void say_memory(const struct bench_sample *s)
{
    if (s->rss_sender_bytes != BENCH_UNKNOWN && s->rss_receiver_bytes != BENCH_UNKNOWN)
        printf("memory at most: sender %s, receiver %s\n", vly_bytes_text(s->rss_sender_bytes).s,
               vly_bytes_text(s->rss_receiver_bytes).s);
}

int bench_load_view_end(struct bench_load_view *v, const struct bench_load_result *result)
{
    const struct bench_sample *s = &result->forward;

    if (s->err != 0)
        vly_cli_say(&v->cli, "%s", s->error);
    else if (!v->cli.json) {
        say_way(v, BENCH_FORWARD, s);
        if (v->request->bidir)
            say_way(v, BENCH_BACK, &result->back);
        say_cpu(s);
        say_memory(s);
    }
    if (v->cli.json)
        result_json(v, result);
    return result->signum != 0 ? VLY_EXIT_SIGNAL + result->signum : vly_exit_code(s->err);
}

void bench_load_view_session(const struct vly_cli *cli, const struct bench_load_session *session,
                             bool quiet)
{
    const struct bench_sample *s = &session->result.forward;
    const char *protocol = bench_protocol_name(session->request.protocol);

    if (cli->json) {
        json_t *event = vly_json_event("session");
        json_t *error = json_object();

        vly_json_text(event, "client", session->peer);
        vly_json_text(event, "protocol", protocol);
        vly_json_text(error, "code", vly_err_name(s->err));
        vly_json_text(error, "message", s->error);
        (void)json_object_set_new(event, "error", error);
        vly_json_emit(event);
    }
    if (!quiet)
        vly_cli_say(cli, "%s, %s: %s", session->peer, protocol, s->err != 0 ? s->error : "done");
}
