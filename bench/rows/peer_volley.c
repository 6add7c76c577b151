/*
 * peer_volley - our own programs: volley-bench between memories, volley with files.
 *
 *     memory  right  volley-bench serve --once --json --listen RIGHT --port 0
 *             left   volley-bench run RIGHT --port N --json --PROTOCOL ...
 *     file    right  volley serve target --writable ...     volley serve source ...
 *             left   volley put source/data RIGHT:N ...      volley get RIGHT:N/data ... (reversed)
 *
 * Encrypted unless the row says plain: volley-bench's ends agree on a key by themselves, files are
 * moved with keys of their own.
 */
#include "bench/rows/peer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Its carrier is TCP, so its congestion control is the kernel's. */
static bool is_tcp(const struct bench_row *row)
{
    return strcmp(row->protocol, "tcp") == 0 || strcmp(row->protocol, "volley-tcp") == 0;
}

static bool is_plain(const struct bench_row *row)
{
    return strcmp(row->protocol, "tcp") == 0 || strcmp(row->protocol, "volley-plain") == 0;
}

static void add_seconds(struct bench_argv *argv, const char *option, uint64_t time_ns)
{
    bench_argv_add(argv, "%s", option);
    if (time_ns % VLY_S(1) == 0)
        bench_argv_add(argv, "%" PRIu64 "s", time_ns / VLY_S(1));
    else
        bench_argv_add(argv, "%" PRIu64 ".%09" PRIu64 "s", time_ns / VLY_S(1), time_ns % VLY_S(1));
}

static void add_number(struct bench_argv *argv, const char *option, uint64_t value,
                       const char *unit)
{
    bench_argv_add(argv, "%s", option);
    bench_argv_add(argv, "%" PRIu64 "%s", value, unit);
}

static void add_text(struct bench_argv *argv, const char *option, const char *value)
{
    if (value[0] == '\0')
        return;
    bench_argv_add(argv, "%s", option);
    bench_argv_add(argv, "%s", value);
}

/* ---- between memories ---- */

static void memory_server(const struct bench_job *job, struct bench_argv *argv)
{
    bench_argv_add(argv, "volley-bench");
    bench_argv_add(argv, "serve");
    bench_argv_add(argv, "--once");
    bench_argv_add(argv, "--json");
    add_text(argv, "--listen", job->host);
    add_number(argv, "--port", 0, "");
}

static void memory_client(const struct bench_job *job, struct bench_argv *argv)
{
    const struct bench_row *row = job->row;

    bench_argv_add(argv, "volley-bench");
    bench_argv_add(argv, "run");
    bench_argv_add(argv, "%s", job->host);
    add_number(argv, "--port", job->port, "");
    bench_argv_add(argv, "--json");
    bench_argv_add(argv, "--%s", row->protocol);
    if (row->bytes != 0) {
        add_number(argv, "-n", row->bytes, "");
    } else {
        add_seconds(argv, "-t", row->duration_ns);
        if (row->warmup_ns != 0)
            add_seconds(argv, "-O", row->warmup_ns);
    }
    add_number(argv, "-P", row->parallel == 0 ? 1 : row->parallel, "");
    if (row->reverse)
        bench_argv_add(argv, "-R");
    if (row->no_spin)
        bench_argv_add(argv, "--no-spin");
    if (row->ack_every_pkts != 0)
        add_number(argv, "--ack-every", row->ack_every_pkts, "");
    if (row->interval_ns != 0)
        add_seconds(argv, "-i", row->interval_ns);
    add_text(argv, "--cc", row->cc);
    add_text(argv, "--io", row->io);
    add_text(argv, "--suite", row->suite);
    add_text(argv, "--crypto", row->crypto);
    if (row->rate_bytes_per_s != 0)
        add_number(argv, "--rate", row->rate_bytes_per_s, "B");
    if (row->mss_bytes != 0)
        add_number(argv, "--mss", row->mss_bytes, "");
    if (row->block_bytes != 0)
        add_number(argv, "-l", row->block_bytes, "");
}

/* The object that stands on the line that ends before `end`; *begin is where the line begins. */
static json_t *line_before(const struct bench_child *c, size_t end, size_t *begin)
{
    *begin = end;
    while (*begin > 0 && c->out[*begin - 1] != '\n' && c->out[*begin - 1] != '\0')
        (*begin)--;
    return json_loadb(c->out + *begin, end - *begin, 0, NULL);
}

/* The latest event of that name on standard output; NULL: there is none. Owned by the caller. */
static json_t *event_find(const struct bench_child *c, const char *name)
{
    size_t end = c->out_bytes;

    while (c->out != NULL) {
        size_t begin;
        json_t *line = line_before(c, end, &begin);
        const char *event = json_string_value(json_object_get(line, "event"));
        if (event != NULL && strcmp(event, name) == 0)
            return line;
        json_decref(line);
        if (begin == 0)
            break;
        end = begin - 1;
    }
    return NULL;
}

static int memory_result(const struct bench_job *job, struct bench_sample *out)
{
    json_t *line = event_find(job->client, "result");
    int err = bench_sample_from_json(out, json_object_get(line, "sample"));

    json_decref(line);
    if (err != 0)
        return bench_sample_fail(out, err, "volley-bench run: it printed no result that is one");
    return out->err;
}

/* ---- with files ---- */

/* Keys and known hosts of the runs: a directory of their own beside the files, which the programs
 * find by VOLLEY_HOME as long as the run lasts. So neither are the user's own touched, nor do they
 * matter. */
static char *home_before;

static int home_make(struct bench_job *job, char why[BENCH_WHY_BYTES])
{
    char path[BENCH_WORKDIR_PATH_BYTES + 8];
    const char *before = getenv("VOLLEY_HOME");

    (void)snprintf(path, sizeof(path), "%s/home", job->dir->path);
    home_before = before != NULL ? strdup(before) : NULL;
    if ((mkdir(path, 0700) == 0 || errno == EEXIST) && setenv("VOLLEY_HOME", path, 1) == 0)
        return 0;
    (void)snprintf(why, BENCH_WHY_BYTES, "no directory for keys: %s", strerror(errno));
    return VLY_E_IO;
}

static void home_leave(struct bench_job *job)
{
    (void)job;
    if (home_before != NULL)
        (void)setenv("VOLLEY_HOME", home_before, 1);
    else
        (void)unsetenv("VOLLEY_HOME");
    free(home_before);
    home_before = NULL;
}

/* What sets the pace is for the end that sends. */
static void add_transport(const struct bench_job *job, bool sends, struct bench_argv *argv)
{
    const struct bench_row *row = job->row;

    if (is_plain(row))
        bench_argv_add(argv, "--plain");
    bench_argv_add(argv, "--json");
    bench_argv_add(argv, "--quiet");
    add_text(argv, "--suite", row->suite);
    add_text(argv, "--crypto", row->crypto);
    if (is_tcp(row)) {
        bench_argv_add(argv, "--tcp");
        add_text(argv, "--tcp-cc", row->cc);
        return;
    }
    if (sends || strcmp(row->cc, "fixed") != 0)
        add_text(argv, "--cc", row->cc);
    add_text(argv, "--io", row->io);
    if (row->mss_bytes != 0)
        add_number(argv, "--mss", row->mss_bytes, "");
    if (sends && row->rate_bytes_per_s != 0)
        add_number(argv, "--rate", row->rate_bytes_per_s, "B");
}

static void file_server(const struct bench_job *job, struct bench_argv *argv)
{
    bench_argv_add(argv, "volley");
    bench_argv_add(argv, "serve");
    bench_argv_add(argv, "%s/%s", job->dir->path, job->row->reverse ? "source" : "target");
    add_text(argv, "--listen", job->host);
    add_number(argv, "--port", 0, "");
    if (!job->row->reverse)
        bench_argv_add(argv, "--writable");
    add_transport(job, job->row->reverse, argv);
}

static void file_client(const struct bench_job *job, struct bench_argv *argv)
{
    bench_argv_add(argv, "volley");
    bench_argv_add(argv, "%s", job->row->reverse ? "get" : "put");
    if (job->row->reverse) {
        bench_argv_add(argv, "%s:%u/" BENCH_WORKDIR_FILE, job->host, job->port);
        add_text(argv, "--output", job->dir->target);
    } else {
        bench_argv_add(argv, "%s", job->dir->source);
        bench_argv_add(argv, "%s:%u", job->host, job->port);
    }
    if (!is_plain(job->row)) /* the server made its key in the same directory */
        bench_argv_add(argv, "--accept-new");
    add_transport(job, !job->row->reverse, argv);
}

static uint64_t count_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (uint64_t)json_integer_value(value)
               : BENCH_UNKNOWN;
}

/* Each end tells what it sent itself, and what its own socket had no room for. */
static void stats_read(const json_t *sender, const json_t *receiver, struct bench_sample *out)
{
    const char *proto = json_string_value(json_object_get(sender, "proto"));

    out->retransmits = count_of(sender, "retransmits");
    out->packets_sent = count_of(sender, "packets_sent");
    out->smoothed_rtt_ns = count_of(sender, "smoothed_rtt_ns");
    out->cwnd_bytes = count_of(sender, "cwnd_bytes");
    if (proto != NULL && strcmp(proto, "udp") == 0)
        out->datagram_bytes = count_of(sender, "datagram_bytes");
    out->kernel_drops = count_of(receiver, "kernel_drops_local");
}

static void names_read(const struct bench_row *row, const json_t *done, struct bench_sample *out)
{
    const char *io = json_string_value(json_object_get(done, "io"));
    const char *cc = json_string_value(json_object_get(done, "cc"));
    const char *suite = json_string_value(json_object_get(done, "suite"));
    const char *crypto = json_string_value(json_object_get(done, "crypto"));

    if (cc == NULL)
        cc = row->cc[0] != '\0' || is_tcp(row) ? row->cc : "cubic";
    (void)snprintf(out->io, sizeof(out->io), "%.15s", io != NULL ? io : "");
    (void)snprintf(out->cc, sizeof(out->cc), "%.15s", cc);
    (void)snprintf(out->suite, sizeof(out->suite), "%.23s", suite != NULL ? suite : "");
    (void)snprintf(out->crypto, sizeof(out->crypto), "%.15s", crypto != NULL ? crypto : "");
}

static int file_result(const struct bench_job *job, struct bench_sample *out)
{
    json_t *client = event_find(job->client, "done");
    json_t *server = event_find(job->server, "disconnect");
    json_t *sender = job->row->reverse ? server : client;
    bool told = client != NULL;

    stats_read(sender, sender == client ? server : client, out);
    names_read(job->row, sender != NULL ? sender : client, out);
    json_decref(client);
    json_decref(server);
    if (told)
        return 0;
    return bench_sample_fail(out, VLY_E_MALFORMED, "volley: it printed no result");
}

/* ---- failures ---- */

/* {"event":"error","code":"NO_ANSWER","message":"..."} */
static bool error_told(const struct bench_child *c, int *err, char why[BENCH_WHY_BYTES])
{
    json_t *line = event_find(c, "error");
    const char *code = json_string_value(json_object_get(line, "code"));
    const char *message = json_string_value(json_object_get(line, "message"));
    bool told = code != NULL && message != NULL;

    if (told) {
        *err = bench_err_of(code);
        (void)snprintf(why, BENCH_WHY_BYTES, "%s: %.200s", c->name, message);
    }
    json_decref(line);
    return told;
}

#define OVER_UDP (BENCH_CAN_CC_VOLLEY | BENCH_CAN_RATE | BENCH_CAN_MSS | BENCH_CAN_IO)

#define MEMORY(name, can_do)                                                           \
    {                                                                                  \
        .protocol = (name), .kind = BENCH_MEMORY, .needs = {{"volley-bench", NULL}},   \
        .can = (can_do) | BENCH_CAN_PARALLEL, .tells_port = true, .ends_itself = true, \
        .end_is_arrival = true, .server = memory_server, .client = memory_client,      \
        .result = memory_result, .reason = error_told,                                 \
    }
#define FILES(name, can_do)                                                                        \
    {                                                                                              \
        .protocol = (name), .kind = BENCH_FILE, .needs = {{"volley", NULL}}, .can = (can_do),      \
        .prepare = home_make, .finish = home_leave, .tells_port = true, .end_is_arrival = true,    \
        .server = file_server, .client = file_client, .result = file_result, .reason = error_told, \
    }

const struct bench_peer bench_peers_volley[] = {
    MEMORY("tcp", BENCH_CAN_CC_TCP | BENCH_CAN_RATE | BENCH_CAN_MSS),
    MEMORY("tls", BENCH_CAN_CC_TCP | BENCH_CAN_RATE | BENCH_CAN_MSS),
    MEMORY("udp-raw", BENCH_CAN_IO | BENCH_CAN_RATE | BENCH_CAN_MSS),
    MEMORY("volley", OVER_UDP | BENCH_CAN_ACKS | BENCH_CAN_CRYPTO),
    MEMORY("volley-plain", OVER_UDP | BENCH_CAN_ACKS),
    MEMORY("volley-tcp", BENCH_CAN_CC_TCP | BENCH_CAN_CRYPTO),
    FILES("tcp", BENCH_CAN_CC_TCP),
    FILES("volley", OVER_UDP | BENCH_CAN_CRYPTO),
    FILES("volley-plain", OVER_UDP),
    FILES("volley-tcp", BENCH_CAN_CC_TCP | BENCH_CAN_CRYPTO),
    {.protocol = NULL},
};
