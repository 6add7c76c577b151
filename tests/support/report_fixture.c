/*
 * report_fixture - small results of volley bench, for tests of what reads them.
 */
#include "support/report_fixture.h"

json_t *report_fixture_new(void)
{
    json_t *environment = json_pack(
        "{s:s, s:s, s:s, s:i, s:n, s:[s], s:s, s:{s:s}, s:{}, s:{}, s:s}", "kernel", "Linux",
        "machine", "x86_64", "cpu", "CPU", "cores", 2, "memory_bytes", "tcp_congestion_controls",
        "cubic", "tcp_congestion_control_default", "cubic", "sysctls", "net.ipv4.tcp_rmem",
        "4096\t131072\t6291456", "offloads", "versions", "commit", "c0ffee");
    json_t *doc =
        json_pack("{s:s, s:s, s:s, s:b, s:i, s:n, s:{s:i, s:i}, s:s, s:o, s:[], s:[], s:s}",
                  "schema", BENCH_REPORT_SCHEMA, "name", "name", "created", "2026-11-21T22:15:04Z",
                  "finished", 1, "seed", 1, "precision", "repeats", "min", 1, "max", 9, "config",
                  "", "environment", environment, "links", "rows", "sentence", "So it is.");

    assert_non_null(doc);
    return doc;
}

static json_t *way(uint64_t rate_bits_per_s, uint64_t delay_ns, double loss)
{
    return json_pack("{s:I, s:I, s:i, s:i, s:f}", "rate_bits_per_s", (json_int_t)rate_bits_per_s,
                     "delay_ns", (json_int_t)delay_ns, "jitter_ns", 0, "queue_bytes", 65536, "loss",
                     loss);
}

void report_fixture_link(json_t *doc, const char *name, uint64_t rate_bits_per_s, uint64_t rtt_ns,
                         double loss)
{
    json_t *link =
        json_pack("{s:s, s:s, s:i, s:b, s:o, s:o}", "name", name, "kind", "emulated", "mtu_bytes",
                  1500, "offloads", 0, "forward", way(rate_bits_per_s, rtt_ns / 2, loss), "back",
                  way(rate_bits_per_s, rtt_ns - rtt_ns / 2, loss));

    assert_int_equal(json_array_append_new(json_object_get(doc, "links"), link), 0);
}

json_t *report_fixture_row(json_t *doc, const char *link, const char *protocol, const char *cc,
                           double goodput_bits_per_s)
{
    json_t *row = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:n, s:i, s:n, s:i, s:b, s:n, s:n, s:n, s:b, s:[]}", "id",
        "id", "link", link, "kind", "memory", "protocol", protocol, "cc", cc, "io", "", "bytes",
        "duration_ns", 1000000000, "warmup_ns", "parallel", 1, "reverse", 0, "block_bytes",
        "mss_bytes", "rate_bits_per_s", "reference", 0, "samples");
    json_t *summary = json_pack("{s:i, s:{s:f, s:f, s:f}, s:n, s:n, s:n, s:n}", "samples", 1,
                                "goodput_bits_per_s", "median", goodput_bits_per_s, "low",
                                0.9 * goodput_bits_per_s, "high", 1.1 * goodput_bits_per_s, "ratio",
                                "cpu_s_per_gb", "retransmits", "duration_s");

    assert_int_equal(json_object_set_new(row, "summary", summary), 0);
    assert_int_equal(
        json_object_set_new(row, "error", json_pack("{s:s, s:s}", "code", "OK", "message", "")), 0);
    assert_int_equal(json_array_append_new(json_object_get(doc, "rows"), row), 0);
    return row;
}

void report_fixture_sample(json_t *row, uint64_t bytes)
{
    struct bench_sample s;
    json_t *object;

    bench_sample_init(&s);
    s.bytes = bytes;
    s.duration_ns = VLY_S(1);
    object = bench_sample_to_json(&s);
    assert_int_equal(json_object_set_new(object, "round", json_integer(0)), 0);
    assert_int_equal(json_object_set_new(object, "seed", json_integer(7)), 0);
    assert_int_equal(json_array_append_new(json_object_get(row, "samples"), object), 0);
}

void report_fixture_interval(json_t *row, uint64_t begin_ns, uint64_t end_ns, uint64_t bytes)
{
    json_t *samples = json_object_get(row, "samples");
    json_t *last = json_array_get(samples, json_array_size(samples) - 1);
    json_t *interval = json_pack("{s:I, s:I, s:I}", "begin_ns", (json_int_t)begin_ns, "end_ns",
                                 (json_int_t)end_ns, "bytes", (json_int_t)bytes);

    assert_int_equal(json_array_append_new(json_object_get(last, "intervals"), interval), 0);
}

struct bench_report report_fixture_load(json_t *doc)
{
    struct bench_report report;
    char why[BENCH_WHY_BYTES] = "";
    int err = bench_report_from_json(&report, doc, why);

    if (err != 0)
        fail_msg("%s", why);
    return report;
}
