/*
 * matrix_keys - the words with a '=' of a matrix file: what they expect and what they set.
 *
 * Values are the quantities of the command line (cli/quantity.h). A link's draft says what a person
 * thinks of (round trip, loss of the data); bench_matrix_link_finish makes two ways of it.
 */
#include "bench/matrix/matrix_internal.h"
#include "cli/quantity.h"
#include "proto/ackset.h"

#include <stdio.h>
#include <string.h>

#define TIME_MAX_NS VLY_S(3600)
#define PARALLEL_MAX 1000

/* ---- values ---- */

static bool duration(const char *value, uint64_t max_ns, uint64_t *out)
{
    return vly_duration_parse(value, out) == 0 && *out <= max_ns;
}

static bool number(const char *value, uint64_t min, uint64_t max, uint64_t *out)
{
    return vly_number_parse(value, out) == 0 && *out >= min && *out <= max;
}

static bool rate(const char *value, uint64_t *out_bytes_per_s)
{
    return vly_rate_parse(value, out_bytes_per_s) == 0 && *out_bytes_per_s >= 1000;
}

static bool on_off(const char *value, bool *out)
{
    *out = strcmp(value, "on") == 0;
    return *out || strcmp(value, "off") == 0;
}

/* A name of the kernel or of volley. */
static bool word(const char *value, char *out, size_t cap)
{
    size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_-");

    return len > 0 && value[len] == '\0' && snprintf(out, cap, "%s", value) < (int)cap;
}

/* ---- keys of a link ---- */

static bool set_rate(struct bench_matrix_draft *d, const char *value)
{
    return rate(value, &d->rate_bytes_per_s);
}

static bool set_back_rate(struct bench_matrix_draft *d, const char *value)
{
    return rate(value, &d->back_rate_bytes_per_s);
}

static bool set_rtt(struct bench_matrix_draft *d, const char *value)
{
    return duration(value, VLY_S(60), &d->rtt_ns);
}

static bool set_loss(struct bench_matrix_draft *d, const char *value)
{
    return vly_share_parse(value, &d->loss) == 0;
}

static bool set_back_loss(struct bench_matrix_draft *d, const char *value)
{
    return vly_share_parse(value, &d->back_loss) == 0;
}

static bool set_jitter(struct bench_matrix_draft *d, const char *value)
{
    return duration(value, VLY_S(10), &d->jitter_ns);
}

static bool set_queue(struct bench_matrix_draft *d, const char *value)
{
    return vly_size_parse(value, &d->queue_bytes) == 0 && d->queue_bytes >= 1500 &&
           d->queue_bytes <= VLY_LINK_QUEUE_MAX;
}

static bool set_burst(struct bench_matrix_draft *d, const char *value)
{
    return number(value, 1, 100000, &d->burst_pkts);
}

static bool set_reorder(struct bench_matrix_draft *d, const char *value)
{
    return vly_share_parse(value, &d->reorder) == 0;
}

static bool set_reorder_delay(struct bench_matrix_draft *d, const char *value)
{
    return duration(value, VLY_S(10), &d->reorder_ns) && d->reorder_ns > 0;
}

static bool set_duplicate(struct bench_matrix_draft *d, const char *value)
{
    return vly_share_parse(value, &d->duplicate) == 0;
}

static bool set_corrupt(struct bench_matrix_draft *d, const char *value)
{
    return vly_share_parse(value, &d->corrupt) == 0;
}

static bool set_codel(struct bench_matrix_draft *d, const char *value)
{
    return on_off(value, &d->codel);
}

static bool set_mtu(struct bench_matrix_draft *d, const char *value)
{
    uint64_t mtu;

    if (!number(value, 1280, 65535, &mtu))
        return false;
    d->lab.mtu_bytes = (uint32_t)mtu;
    return true;
}

static bool set_offloads(struct bench_matrix_draft *d, const char *value)
{
    bool on;

    if (!on_off(value, &on))
        return false;
    d->lab.offloads_off = !on;
    return true;
}

#define A_SHARE "a share such as 1% or 0.01"
#define A_RATE "a rate such as 100Mbit"
#define A_TIME "a time such as 50ms"
#define ON_OFF "on or off"

static const struct bench_matrix_key emulated_keys[] = {
    {"rate", A_RATE, "", set_rate},
    {"rtt", A_TIME, "", set_rtt},
    {"loss", A_SHARE, "", set_loss},
    {"back-rate", A_RATE, "back", set_back_rate},
    {"back-loss", A_SHARE, "backloss", set_back_loss},
    {"jitter", A_TIME, "jitter", set_jitter},
    {"queue", "a size such as 64KiB, 1500 bytes to 8GiB", "queue", set_queue},
    {"burst", "a number of packets, 1 to 100000", "burst", set_burst},
    {"reorder", A_SHARE, "reorder", set_reorder},
    {"reorder-delay", "a time such as 2ms", "by", set_reorder_delay},
    {"duplicate", A_SHARE, "duplicate", set_duplicate},
    {"corrupt", A_SHARE, "corrupt", set_corrupt},
    {"codel", ON_OFF, "codel", set_codel},
    {"mtu", "a number of bytes, 1280 to 65535", "mtu", set_mtu},
    {NULL, NULL, NULL, NULL},
};

static const struct bench_matrix_key veth_keys[] = {
    {"mtu", "a number of bytes, 1280 to 65535", NULL, set_mtu},
    {"offloads", ON_OFF, "offloads", set_offloads},
    {NULL, NULL, NULL, NULL},
};

static const struct bench_matrix_key lo_keys[] = {{NULL, NULL, NULL, NULL}};

const struct bench_matrix_key *bench_matrix_link_keys(enum bench_lab_kind kind)
{
    switch (kind) {
    case BENCH_LAB_LO:
        return lo_keys;
    case BENCH_LAB_VETH:
        return veth_keys;
    case BENCH_LAB_EMULATED:
        return emulated_keys;
    }
    return lo_keys;
}

const char *bench_matrix_link_finish(struct bench_matrix_draft *d)
{
    struct vly_link_spec *forward = &d->lab.way[BENCH_LEFT], *back = &d->lab.way[BENCH_RIGHT];
    struct vly_link_model model;

    if (d->lab.kind != BENCH_LAB_EMULATED)
        return NULL;
    if (d->burst_pkts > 0 && d->loss <= 0)
        return "burst= needs loss=";
    if (d->reorder_ns > 0 && d->reorder <= 0)
        return "reorder-delay= needs reorder=";
    if (d->rate_bytes_per_s == 0 && d->rtt_ns == 0)
        return "an emulated link needs rate= or rtt=";
    *forward = (struct vly_link_spec){
        .rate_bytes_per_s = d->rate_bytes_per_s,
        .delay_ns = d->rtt_ns / 2,
        .jitter_ns = d->jitter_ns,
        .queue_bytes = d->queue_bytes,
        .reorder = d->reorder,
        .reorder_ns = d->reorder > 0 && d->reorder_ns == 0 ? VLY_MS(1) : d->reorder_ns,
        .duplicate = d->duplicate,
        .corrupt = d->corrupt,
    };
    *back = (struct vly_link_spec){
        .rate_bytes_per_s =
            d->back_rate_bytes_per_s != 0 ? d->back_rate_bytes_per_s : d->rate_bytes_per_s,
        .delay_ns = d->rtt_ns - d->rtt_ns / 2,
        .jitter_ns = d->jitter_ns,
        .queue_bytes = d->queue_bytes,
        .loss = d->back_loss,
    };
    vly_link_spec_lose(forward, d->loss, d->burst_pkts);
    d->lab.codel[BENCH_LEFT].on = d->codel;
    d->lab.codel[BENCH_RIGHT].on = d->codel;
    if (vly_link_model_init(&model, forward, 0) != 0 || vly_link_model_init(&model, back, 0) != 0)
        return "no link can be like that";
    return NULL;
}

/* ---- keys of a row ---- */

static bool set_cc(struct bench_matrix_draft *d, const char *value)
{
    if (strcmp(value, "default") == 0) {
        d->row.cc[0] = '\0';
        return true;
    }
    return word(value, d->row.cc, sizeof(d->row.cc));
}

static bool set_io(struct bench_matrix_draft *d, const char *value)
{
    return word(value, d->row.io, sizeof(d->row.io));
}

static bool set_suite(struct bench_matrix_draft *d, const char *value)
{
    return word(value, d->row.suite, sizeof(d->row.suite));
}

static bool set_crypto(struct bench_matrix_draft *d, const char *value)
{
    return word(value, d->row.crypto, sizeof(d->row.crypto));
}

static bool set_size(struct bench_matrix_draft *d, const char *value)
{
    return vly_size_parse(value, &d->row.bytes) == 0 && d->row.bytes > 0 &&
           d->row.bytes <= INT64_MAX;
}

static bool set_time(struct bench_matrix_draft *d, const char *value)
{
    return duration(value, TIME_MAX_NS, &d->row.duration_ns) && d->row.duration_ns > 0;
}

static bool set_warmup(struct bench_matrix_draft *d, const char *value)
{
    return duration(value, TIME_MAX_NS, &d->row.warmup_ns);
}

static bool set_parallel(struct bench_matrix_draft *d, const char *value)
{
    uint64_t n;

    if (!number(value, 1, PARALLEL_MAX, &n))
        return false;
    d->row.parallel = (unsigned)n;
    return true;
}

static bool set_reverse(struct bench_matrix_draft *d, const char *value)
{
    return on_off(value, &d->row.reverse);
}

static bool set_spin(struct bench_matrix_draft *d, const char *value)
{
    bool spin;

    if (!on_off(value, &spin))
        return false;
    d->row.no_spin = !spin;
    return true;
}

static bool set_ack_every(struct bench_matrix_draft *d, const char *value)
{
    uint64_t pkts;

    if (!number(value, 1, VLY_ACK_EVERY_MAX, &pkts))
        return false;
    d->row.ack_every_pkts = (uint32_t)pkts;
    return true;
}

static bool set_block(struct bench_matrix_draft *d, const char *value)
{
    return vly_size_parse(value, &d->row.block_bytes) == 0 && d->row.block_bytes > 0 &&
           d->row.block_bytes <= (1u << 30);
}

static bool set_mss(struct bench_matrix_draft *d, const char *value)
{
    uint64_t mss;

    if (!number(value, 88, 65507, &mss))
        return false;
    d->row.mss_bytes = (uint32_t)mss;
    return true;
}

static bool set_row_rate(struct bench_matrix_draft *d, const char *value)
{
    return rate(value, &d->row.rate_bytes_per_s);
}

#define ROW_KEYS                                                               \
    {"cc", "a congestion control such as cubic, or default", "", set_cc},      \
        {"size", "a size such as 64MiB", "", set_size},                        \
        {"parallel", "a number of connections, 1 to 1000", "P", set_parallel}, \
        {"reverse", ON_OFF, "reverse", set_reverse},                           \
        {"mss", "a number of bytes, 88 to 65507", "mss", set_mss},             \
        {"rate", A_RATE, "", set_row_rate},                                    \
        {"suite", "a suite such as aes-256-gcm", "", set_suite},               \
        {"crypto", "who encrypts, such as openssl", "", set_crypto},           \
    {                                                                          \
        "io", "a way to move packets such as gso", "", set_io                  \
    }

static const struct bench_matrix_key memory_keys[] = {
    ROW_KEYS,
    {"time", "a time such as 5s, at most 1h", "for", set_time},
    {"warmup", "a time such as 1s, at most 1h", NULL, set_warmup},
    {"block", "a size such as 128KiB", "block", set_block},
    {"spin", ON_OFF, "spin", set_spin},
    {"ack-every", "a number of packets, 1 to 128", "ack", set_ack_every},
    {NULL, NULL, NULL, NULL},
};

static const struct bench_matrix_key file_keys[] = {ROW_KEYS, {NULL, NULL, NULL, NULL}};

const struct bench_matrix_key *bench_matrix_row_keys(enum bench_kind kind)
{
    switch (kind) {
    case BENCH_MEMORY:
        return memory_keys;
    case BENCH_FILE:
        return file_keys;
    }
    return file_keys;
}

static const char *file_finish(struct bench_row *row, const struct bench_matrix_defaults *defaults)
{
    if (row->bytes == 0)
        row->bytes = defaults->size_bytes;
    row->warmup_ns = 0;
    return row->bytes == 0 ? "a file row needs size=, or the setting size" : NULL;
}

const char *bench_matrix_row_finish(struct bench_matrix_draft *d,
                                    const struct bench_matrix_defaults *defaults)
{
    struct bench_row *row = &d->row;
    bool has_warmup = row->warmup_ns != UINT64_MAX;

    if (row->kind == BENCH_FILE)
        return file_finish(row, defaults);
    row->interval_ns = defaults->interval_ns;
    if (row->bytes != 0) {
        row->warmup_ns = has_warmup ? row->warmup_ns : 0;
        return row->duration_ns != 0 || row->warmup_ns != 0
                   ? "size= goes with neither time= nor warmup="
                   : NULL;
    }
    if (row->duration_ns == 0)
        row->duration_ns = defaults->time_ns;
    if (!has_warmup)
        row->warmup_ns = defaults->warmup_ns;
    return row->duration_ns == 0 ? "a memory row needs time= or size=, or the setting time" : NULL;
}

/* ---- protocols ---- */

static const struct protocol {
    const char *name;
    bool memory, file;
} protocols[] = {
    {"tcp", true, true},         {"tls", true, false},         {"udp-raw", true, false},
    {"volley", true, true},      {"volley-plain", true, true}, {"volley-tcp", true, true},
    {"iperf3-tcp", true, false}, {"iperf3-udp", true, false},  {"scp", false, true},
    {"rsync", false, true},      {"socat", false, true},
};

const char *bench_matrix_protocol_check(const char *name, enum bench_kind kind)
{
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        if (strcmp(protocols[i].name, name) != 0)
            continue;
        if (kind == BENCH_MEMORY)
            return protocols[i].memory ? NULL : "moves only files";
        return protocols[i].file ? NULL : "moves no files";
    }
    return "is none of tcp tls udp-raw volley volley-plain volley-tcp iperf3-tcp iperf3-udp scp "
           "rsync "
           "socat";
}
