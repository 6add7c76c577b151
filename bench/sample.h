/*
 * sample - what one run of one row measured.
 *
 * Everything downstream (statistics, tables, reports) reads samples and nothing else. Bytes are
 * payload, counted where they arrived.
 */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

#include <volley/base.h>

#include <jansson.h>

#define BENCH_UNKNOWN UINT64_MAX /* in any figure: not known, null in JSON */
#define BENCH_ERROR_BYTES 256

/* X(name, what it is). All are uint64_t. */
#define BENCH_FIGURES(X)                                                                         \
    X(bytes, "payload that arrived, without the warm-up")                                        \
    X(sent_bytes, "payload handed to the transport in the same time")                            \
    X(duration_ns, "from the end of the warm-up to the last byte's arrival; of a number of "     \
                   "bytes, from when both ends were ready")                                      \
    X(cpu_sender_ns, "user and system time of the sending processes, whole run")                 \
    X(cpu_receiver_ns, "user and system time of the receiving processes, whole run")             \
    X(cpu_softirq_ns, "softirq time of the whole machine during the run; counts in 10 ms")       \
    X(cpu_steal_ns,                                                                              \
      "time its processors were ready to run and the hypervisor ran others; likewise")           \
    X(cpu_all_ns, "time of all its processors during the run; what cpu_steal_ns is a share of")  \
    X(rss_sender_bytes,                                                                          \
      "the most memory that the sending process held; of several, the largest one")              \
    X(rss_receiver_bytes, "likewise of the receiving one")                                       \
    X(total_bytes, "payload that arrived in the whole run, warm-up included; what the CPU went " \
                   "into")                                                                       \
    X(retransmits, "packets or segments sent again")                                             \
    X(packets_sent, "packets or segments sent")                                                  \
    X(kernel_drops,                                                                              \
      "what the receiving socket had no room for: datagrams, or batches of them (GRO)")          \
    X(smoothed_rtt_ns, "at the sender's end of the run")                                         \
    X(cwnd_bytes, "likewise")                                                                    \
    X(connect_ns, "from the first packet to a connection that carries data")                     \
    X(datagram_bytes, "UDP: the longest datagram the sender uses, as its path allows")

struct bench_sample {
    int err;                       /* enum vly_err; not 0: the figures do not count */
    char error[BENCH_ERROR_BYTES]; /* one line for a person when err is not 0 */
#define X(name, text) uint64_t name;
    BENCH_FIGURES(X)
#undef X
    char cc[16];       /* the congestion control that was in use, as the system names it; "" none */
    char io[16];       /* how packets were moved: "gso", "tcp", "sendfile"; "" not known */
    char suite[24];    /* what encrypted it, "aes-256-gcm", "plain"; "" not known */
    char crypto[16];   /* and who computed that: "openssl", "ipsec-mb" */
    json_t *intervals; /* owned array, or NULL: one object for each interval, "interval" of
                          bench/schema/result.schema.json */
};

/* All figures unknown, no error. */
void bench_sample_init(struct bench_sample *s);
void bench_sample_fini(struct bench_sample *s);
/* Marks it failed; `format` gives the line. Returns err. */
int bench_sample_fail(struct bench_sample *s, int err, const char *format, ...) VLY_PRINTF(3, 4);

/* bits/s of payload, NAN when it failed or has no duration. */
double bench_sample_goodput(const struct bench_sample *s);
/* CPU seconds of both ends per 10^9 bytes, softirq left out; NAN when not known. */
double bench_sample_cpu_per_gb(const struct bench_sample *s);
/* The share of all processors' time during the run that its hypervisor gave to others; NAN when not
 * known. Also of a run that failed. */
double bench_sample_steal(const struct bench_sample *s);

/* A new object, NULL when out of memory: every figure by its name, "cc", "io", "suite",
 * "crypto", "intervals",
 * "goodput_bits_per_s", "error":{"code":"OK","message":""}. */
json_t *bench_sample_to_json(const struct bench_sample *s);
/* The error of that name, VLY_E_FAILED when there is none: never 0. */
int bench_err_of(const char *code);
/* Fills an initialised sample. Figures that are missing stay unknown. VLY_E_MALFORMED, VLY_E_NOMEM.
 */
VLY_MUST_USE int bench_sample_from_json(struct bench_sample *s, const json_t *object);

#endif
