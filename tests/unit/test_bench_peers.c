/*
 * The arguments that each peer's programs are given, and how iperf3's reports are read. The reports
 * in tests/vectors/iperf3 were recorded from iperf3 3.12 over loopback.
 */
#include "bench/rows/peer.h"
#include "bench/rows/peer_iperf3.h"

#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct bench_workdir dir = {
    .path = "/w", .source = "/w/source/data", .target = "/w/target/data"};

/* The arguments of a side, joined by blanks. */
static const char *arguments(const struct bench_row *row, enum bench_side side)
{
    static char text[BENCH_ARGV_TEXT_BYTES];
    const struct bench_peer *peer = bench_peer_find(row->protocol, row->kind);
    struct bench_job job = {
        .row = row, .peer = peer, .dir = &dir, .host = "10.77.0.2", .port = 4321, .user = "me"};
    struct bench_argv argv;

    assert_non_null(peer);
    bench_argv_init(&argv);
    (side == BENCH_LEFT ? peer->client : peer->server)(&job, &argv);
    assert_null(argv.at[argv.n]);
    for (size_t i = 0, used = 0; i < argv.n; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? " " : "",
                                 argv.at[i]);
    return text;
}

struct expectation {
    struct bench_row row;
    const char *server, *client; /* NULL: not looked at */
};

static void assert_arguments(const struct expectation *e)
{
    if (e->server != NULL)
        assert_string_equal(arguments(&e->row, BENCH_RIGHT), e->server);
    if (e->client != NULL)
        assert_string_equal(arguments(&e->row, BENCH_LEFT), e->client);
}

static void test_arguments_between_memories(void **state)
{
    static const struct expectation all[] = {
        {{.protocol = "tcp", .duration_ns = VLY_S(10), .parallel = 1},
         "volley-bench serve --once --json --listen 10.77.0.2 --port 0",
         "volley-bench run 10.77.0.2 --port 4321 --json --tcp -t 10s -P 1"},
        {{.protocol = "tls",
          .cc = "bbr",
          .duration_ns = VLY_MS(2500),
          .warmup_ns = VLY_S(1),
          .interval_ns = VLY_MS(100),
          .parallel = 4,
          .reverse = true,
          .block_bytes = 65536,
          .mss_bytes = 1448,
          .rate_bytes_per_s = 125000},
         NULL,
         "volley-bench run 10.77.0.2 --port 4321 --json --tls -t 2.500000000s -O 1s -P 4 -R "
         "-i 0.100000000s --cc bbr --rate 125000B --mss 1448 -l 65536"},
        {{.protocol = "volley", .io = "mmsg", .bytes = 8192, .warmup_ns = VLY_S(1)},
         NULL,
         "volley-bench run 10.77.0.2 --port 4321 --json --volley -n 8192 -P 1 --io mmsg"},
        {{.protocol = "volley-tcp", .suite = "aes-256-gcm", .crypto = "openssl", .bytes = 1},
         NULL,
         "volley-bench run 10.77.0.2 --port 4321 --json --volley-tcp -n 1 -P 1 "
         "--suite aes-256-gcm --crypto openssl"},
        {{.protocol = "volley-plain", .no_spin = true, .ack_every_pkts = 10, .bytes = 1},
         NULL,
         "volley-bench run 10.77.0.2 --port 4321 --json --volley-plain -n 1 -P 1 --no-spin "
         "--ack-every 10"},
        {{.protocol = "udp-raw", .bytes = 1, .parallel = 1},
         NULL,
         "volley-bench run 10.77.0.2 --port 4321 --json --udp-raw -n 1 -P 1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        assert_arguments(&all[i]);
}

static void test_arguments_of_iperf3(void **state)
{
    static const struct expectation all[] = {
        {{.protocol = "iperf3-tcp", .duration_ns = VLY_S(10), .parallel = 1},
         "iperf3 -s -1 -J -B 10.77.0.2 -p 4321 -i 1",
         "iperf3 -c 10.77.0.2 -p 4321 -J -t 10 -i 1 -P 1 -l 131072"},
        /* whole seconds alone; intervals that the warm-up consists of */
        {{.protocol = "iperf3-tcp",
          .cc = "cubic",
          .duration_ns = VLY_MS(1500),
          .warmup_ns = VLY_S(1),
          .interval_ns = VLY_S(2),
          .parallel = 2,
          .reverse = true,
          .block_bytes = 4096,
          .mss_bytes = 1448,
          .rate_bytes_per_s = 1250000},
         "iperf3 -s -1 -J -B 10.77.0.2 -p 4321 -i 1",
         "iperf3 -c 10.77.0.2 -p 4321 -J -t 3 -i 1 -P 2 -l 4096 -b 5000000 -C cubic -M 1448 -R"},
        {{.protocol = "iperf3-tcp", .bytes = 8192, .warmup_ns = VLY_S(9), .interval_ns = 1},
         "iperf3 -s -1 -J -B 10.77.0.2 -p 4321 -i 0.1",
         "iperf3 -c 10.77.0.2 -p 4321 -J -n 8192 -i 0.1 -P 1 -l 131072"},
        {{.protocol = "iperf3-udp", .duration_ns = VLY_S(2), .mss_bytes = 1448},
         NULL,
         "iperf3 -c 10.77.0.2 -p 4321 -J -t 2 -i 1 -P 1 -l 1448 -u -b 0"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        assert_arguments(&all[i]);
}

static void test_arguments_with_files(void **state)
{
    static const struct expectation all[] = {
        {{.protocol = "volley", .kind = BENCH_FILE, .suite = "aes-256-gcm", .crypto = "openssl"},
         "volley serve /w/target --listen 10.77.0.2 --port 0 --writable --json --quiet "
         "--suite aes-256-gcm --crypto openssl",
         "volley put /w/source/data 10.77.0.2:4321 --accept-new --json --quiet "
         "--suite aes-256-gcm --crypto openssl"},
        {{.protocol = "volley-tcp", .kind = BENCH_FILE, .cc = "cubic", .reverse = true},
         "volley serve /w/source --listen 10.77.0.2 --port 0 --json --quiet --tcp --tcp-cc cubic",
         "volley get 10.77.0.2:4321/data --output /w/target/data --accept-new --json --quiet --tcp "
         "--tcp-cc cubic"},
        {{.protocol = "volley-plain",
          .kind = BENCH_FILE,
          .cc = "reno",
          .io = "basic",
          .mss_bytes = 9000,
          .rate_bytes_per_s = 7},
         "volley serve /w/target --listen 10.77.0.2 --port 0 --writable --plain --json --quiet "
         "--cc reno --io basic --mss 9000",
         "volley put /w/source/data 10.77.0.2:4321 --plain --json --quiet --cc reno --io basic "
         "--mss 9000 --rate 7B"},
        /* the pace is the sender's affair */
        {{.protocol = "volley-plain",
          .kind = BENCH_FILE,
          .cc = "fixed",
          .rate_bytes_per_s = 7,
          .reverse = true},
         "volley serve /w/source --listen 10.77.0.2 --port 0 --plain --json --quiet --cc fixed "
         "--rate 7B",
         "volley get 10.77.0.2:4321/data --output /w/target/data --plain --json --quiet"},
        {{.protocol = "tcp", .kind = BENCH_FILE, .cc = "cubic", .reverse = true},
         "volley serve /w/source --listen 10.77.0.2 --port 0 --plain --json --quiet --tcp "
         "--tcp-cc cubic",
         "volley get 10.77.0.2:4321/data --output /w/target/data --plain --json --quiet --tcp "
         "--tcp-cc cubic"},
        {{.protocol = "rsync", .kind = BENCH_FILE},
         "rsync --daemon --no-detach --config=/w/rsyncd.conf --address=10.77.0.2 --port=4321 "
         "--log-file=/dev/stderr",
         "rsync --whole-file --inplace --no-compress /w/source/data "
         "rsync://10.77.0.2:4321/bench/data"},
        {{.protocol = "rsync", .kind = BENCH_FILE, .reverse = true},
         NULL,
         "rsync --whole-file --inplace --no-compress rsync://10.77.0.2:4321/bench/data "
         "/w/target/data"},
        /* the congestion control is the sender's */
        {{.protocol = "socat", .kind = BENCH_FILE, .cc = "bbr"},
         "socat -u -b 1048576 TCP4-LISTEN:4321,bind=10.77.0.2,reuseaddr CREATE:/w/target/data",
         "socat -u -b 1048576 OPEN:/w/source/data,rdonly "
         "TCP4:10.77.0.2:4321,setsockopt-string=6:13:bbr"},
        {{.protocol = "socat", .kind = BENCH_FILE, .cc = "bbr", .reverse = true},
         "socat -u -b 1048576 OPEN:/w/source/data,rdonly "
         "TCP4-LISTEN:4321,bind=10.77.0.2,reuseaddr,setsockopt-string=6:13:bbr",
         "socat -u -b 1048576 TCP4:10.77.0.2:4321 CREATE:/w/target/data"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        assert_arguments(&all[i]);
}

static void assert_holds(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in: %s", part, text);
}

/* Long lists of options: what matters of them. */
static void test_arguments_of_scp(void **state)
{
    struct bench_row row = {.protocol = "scp", .kind = BENCH_FILE};
    const char *server = arguments(&row, BENCH_RIGHT);

    (void)state;
    assert_holds(server, "sshd -d -f /dev/null -o ListenAddress 10.77.0.2:4321 ");
    assert_holds(server, "-o HostKey /w/host -o AuthorizedKeysFile /w/user.pub ");
    assert_holds(server, "-o Ciphers aes128-gcm@openssh.com -o ");
    assert_holds(server, "-o Compression no ");
    assert_holds(arguments(&row, BENCH_LEFT), "scp -q -F none -P 4321 -i /w/user -c aes128-gcm@");
    assert_holds(arguments(&row, BENCH_LEFT), " /w/source/data me@10.77.0.2:/w/target/data");
    row.reverse = true;
    assert_holds(arguments(&row, BENCH_LEFT), " me@10.77.0.2:/w/source/data /w/target/data");
}

/* ---- what is not available ---- */

static void assert_unavailable(struct bench_row row, const char *part)
{
    char why[BENCH_WHY_BYTES] = "";

    assert_false(bench_row_is_available(&row, why));
    assert_holds(why, part);
}

static void test_unavailable_rows_say_why(void **state)
{
    (void)state;
    assert_unavailable((struct bench_row){.protocol = "quic", .bytes = 1}, "no protocol 'quic'");
    assert_unavailable((struct bench_row){.protocol = "tls", .kind = BENCH_FILE, .bytes = 1},
                       "no protocol 'tls' with files");
    assert_unavailable((struct bench_row){.protocol = "scp", .kind = BENCH_FILE},
                       "needs a size for its file");
    assert_unavailable((struct bench_row){.protocol = "tcp"}, "needs a size or a duration");
    assert_unavailable(
        (struct bench_row){.protocol = "scp", .kind = BENCH_FILE, .bytes = 1, .cc = "cubic"},
        "cannot choose a congestion control");
    assert_unavailable(
        (struct bench_row){
            .protocol = "socat", .kind = BENCH_FILE, .bytes = 1, .rate_bytes_per_s = 1},
        "cannot be held to a rate");
    assert_unavailable((struct bench_row){.protocol = "iperf3-tcp", .bytes = 1, .cc = "nonsense"},
                       "'nonsense' is not known here; there is ");
    assert_unavailable((struct bench_row){.protocol = "volley", .bytes = 1, .cc = "bbr7"},
                       "there is cubic, reno, fixed");
    assert_unavailable((struct bench_row){.protocol = "volley-plain", .bytes = 1, .suite = "x"},
                       "has no choice of suite= and crypto=");
    assert_unavailable((struct bench_row){.protocol = "tls", .bytes = 1, .crypto = "openssl"},
                       "has no choice of suite= and crypto=");
    assert_unavailable((struct bench_row){.protocol = "volley-tcp", .bytes = 1, .mss_bytes = 1400},
                       "cannot choose the size of its packets");
    assert_unavailable(
        (struct bench_row){.protocol = "volley-tcp", .bytes = 1, .ack_every_pkts = 2},
        "has no choice of ack-every=");
    assert_unavailable((struct bench_row){.protocol = "iperf3-udp", .bytes = 1},
                       "needs a duration, not a size");
}

static void test_missing_programs_are_named(void **state)
{
    const char *before = getenv("PATH");
    char *path = strdup(before != NULL ? before : "");

    (void)state;
    assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
    assert_unavailable((struct bench_row){.protocol = "iperf3-tcp", .bytes = 1},
                       "iperf3 is not installed; apt-get install iperf3");
    assert_unavailable((struct bench_row){.protocol = "scp", .kind = BENCH_FILE, .bytes = 1},
                       "scp is not installed; apt-get install openssh-client");
    assert_int_equal(setenv("PATH", path, 1), 0);
    free(path);
}

static void test_own_programs_are_overridden(void **state)
{
    char found[256];

    (void)state;
    assert_int_equal(setenv("VOLLEY_BIN", "/bin/true", 1), 0);
    assert_true(bench_program_find("volley", found, sizeof(found)));
    assert_string_equal(found, "/bin/true");
    assert_int_equal(setenv("VOLLEY_BIN", "/nonexistent/volley", 1), 0);
    assert_unavailable((struct bench_row){.protocol = "volley", .kind = BENCH_FILE, .bytes = 1},
                       "the program volley does not stand beside this one");
}

/* ---- iperf3's reports ---- */

/* The text of tests/vectors/iperf3/NAME; owned by the caller. */
static char *report(const char *name, const char *end)
{
    const char *root = getenv("VOLLEY_SRC");
    char path[512];
    char *text = calloc(1, 65536);
    FILE *f;

    snprintf(path, sizeof(path), "%s/tests/vectors/iperf3/%s.%s.json", root != NULL ? root : ".",
             name, end);
    f = fopen(path, "r");
    assert_non_null(text);
    if (f == NULL || fread(text, 1, 65535, f) == 0)
        fail_msg("%s cannot be read", path);
    else
        (void)fclose(f);
    return text;
}

/* Reads the recorded run. The sample is the caller's to end. */
static int read_recorded(const struct bench_row *row, const char *name, struct bench_sample *s)
{
    char *client = report(name, "client");
    char *server = report(name, "server");
    int err;

    bench_sample_init(s);
    err = bench_iperf3_read(row, client, server, s);
    assert_int_equal(err, s->err);
    free(client);
    free(server);
    return err;
}

/* Two streams, 2 s, intervals of 0.5 s, the first two are the warm-up: 2006777803 + 2010906624 +
 * 2687029 bytes arrived from 1.000020 s to 2.000606 s. */
static void test_iperf3_tcp_without_warmup(void **state)
{
    const struct bench_row row = {.protocol = "iperf3-tcp",
                                  .duration_ns = VLY_S(1),
                                  .warmup_ns = VLY_S(1),
                                  .interval_ns = VLY_MS(500),
                                  .parallel = 2};
    struct bench_sample s;
    const json_t *interval;

    (void)state;
    assert_int_equal(read_recorded(&row, "tcp", &s), 0);
    assert_int_equal(s.bytes, 4020371456);
    assert_int_equal(s.total_bytes, 7995129856);
    assert_int_equal(s.duration_ns, 1000586000);
    assert_int_equal(s.sent_bytes, 4019978240);
    assert_int_equal(s.retransmits, 0);
    assert_int_equal(s.cwnd_bytes, 2 * 2619320);
    assert_int_equal(s.smoothed_rtt_ns, 18000); /* the mean of 17 us and 19 us */
    assert_int_equal(s.packets_sent, BENCH_UNKNOWN);
    assert_string_equal(s.cc, "cubic");
    assert_string_equal(s.io, "tcp");
    assert_int_equal(json_array_size(s.intervals), 5);
    interval = json_array_get(s.intervals, 1);
    assert_int_equal(json_integer_value(json_object_get(interval, "begin_ns")), 500019000);
    assert_int_equal(json_integer_value(json_object_get(interval, "end_ns")), 1000020000);
    assert_int_equal(json_integer_value(json_object_get(interval, "bytes")), 1921777664);
    assert_int_equal(json_integer_value(json_object_get(interval, "cwnd_bytes")), 2 * 2619320);
    bench_sample_fini(&s);
}

static void test_iperf3_tcp_reverse(void **state)
{
    const struct bench_row row = {
        .protocol = "iperf3-tcp", .duration_ns = VLY_S(2), .reverse = true, .parallel = 1};
    struct bench_sample s;

    (void)state;
    assert_int_equal(read_recorded(&row, "tcp-reverse", &s), 0);
    assert_int_equal(s.bytes, 8993308619);
    assert_int_equal(s.total_bytes, 8993308619);
    assert_int_equal(s.duration_ns, 2000028000);
    assert_int_equal(s.sent_bytes, 8994160640);
    assert_int_equal(s.smoothed_rtt_ns, 30000);
    assert_string_equal(s.cc, "reno");
    assert_null(s.intervals);
    bench_sample_fini(&s);
}

/* It took 2 ms: its only interval ends long before a second, and counts. */
static void test_iperf3_tcp_bytes(void **state)
{
    const struct bench_row row = {.protocol = "iperf3-tcp", .bytes = 8388608, .parallel = 1};
    struct bench_sample s;

    (void)state;
    assert_int_equal(read_recorded(&row, "tcp-bytes", &s), 0);
    assert_int_equal(s.bytes, 8388608);
    assert_int_equal(s.duration_ns, 2186000);
    assert_int_equal(s.cwnd_bytes, 1178694);
    bench_sample_fini(&s);
}

/* 441220 datagrams of 1448 bytes were sent, 267070 of them lost, says iperf3. What arrived is
 * 132710648 + 8688 bytes after the warm-up. */
static void test_iperf3_udp_counts_what_arrived(void **state)
{
    const struct bench_row row = {
        .protocol = "iperf3-udp", .duration_ns = VLY_S(1), .warmup_ns = VLY_S(1), .parallel = 1};
    struct bench_sample s;

    (void)state;
    assert_int_equal(read_recorded(&row, "udp", &s), 0);
    assert_int_equal(s.bytes, 132719336);
    assert_int_equal(s.total_bytes, 252169200);
    assert_int_equal(s.duration_ns, 1000200000);
    assert_int_equal(s.sent_bytes, 337253680);
    assert_int_equal(s.packets_sent, 232910);
    assert_int_equal(s.retransmits, BENCH_UNKNOWN);
    assert_int_equal(s.smoothed_rtt_ns, BENCH_UNKNOWN);
    assert_string_equal(s.cc, "");
    assert_string_equal(s.io, "udp");
    bench_sample_fini(&s);
}

static void test_iperf3_udp_reverse(void **state)
{
    const struct bench_row row = {
        .protocol = "iperf3-udp", .duration_ns = VLY_S(2), .reverse = true, .parallel = 1};
    struct bench_sample s;

    (void)state;
    assert_int_equal(read_recorded(&row, "udp-reverse", &s), 0);
    assert_int_equal(s.bytes, 175225376);
    assert_int_equal(s.duration_ns, 2000082000);
    assert_int_equal(s.sent_bytes, 497807920);
    bench_sample_fini(&s);
}

static void test_iperf3_says_what_failed(void **state)
{
    const struct bench_row row = {.protocol = "iperf3-tcp", .duration_ns = VLY_S(1)};
    struct bench_sample s;

    (void)state;
    assert_int_equal(read_recorded(&row, "refused", &s), VLY_E_FAILED);
    assert_string_equal(s.error, "iperf3: unable to set TCP_CONGESTION: Supplied congestion "
                                 "control algorithm not supported on this host");
    bench_sample_fini(&s);
}

/* Every beginning of a report, and reports without what is needed, fail the sample. */
static void test_iperf3_broken_reports(void **state)
{
    static const char *const broken[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"intervals\":[]}",
        "{\"intervals\":[{}],\"end\":{}}",
        "{\"intervals\":[{\"sum\":{\"bytes\":-1,\"start\":\"x\",\"end\":1e300}}],\"end\":[]}"};
    const struct bench_row row = {.protocol = "iperf3-tcp", .duration_ns = VLY_S(1)};
    const struct bench_row warm = {
        .protocol = "iperf3-tcp", .duration_ns = VLY_S(1), .warmup_ns = VLY_S(9)};
    char *client = report("tcp", "client");
    char *server = report("tcp", "server");
    struct bench_sample s;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        bench_sample_init(&s);
        assert_int_equal(bench_iperf3_read(&row, broken[i], broken[i], &s), VLY_E_MALFORMED);
        bench_sample_fini(&s);
    }
    bench_sample_init(&s); /* it ended within the warm-up */
    assert_int_equal(bench_iperf3_read(&warm, client, server, &s), VLY_E_MALFORMED);
    bench_sample_fini(&s);
    for (size_t len = strlen(client) - 2; len > 64; len -= 61) {
        client[len] = '\0';
        bench_sample_init(&s);
        assert_int_equal(bench_iperf3_read(&row, client, server, &s), VLY_E_MALFORMED);
        bench_sample_fini(&s);
    }
    free(client);
    free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments_between_memories),
        cmocka_unit_test(test_arguments_of_iperf3),
        cmocka_unit_test(test_arguments_with_files),
        cmocka_unit_test(test_arguments_of_scp),
        cmocka_unit_test(test_unavailable_rows_say_why),
        cmocka_unit_test(test_missing_programs_are_named),
        cmocka_unit_test(test_own_programs_are_overridden),
        cmocka_unit_test(test_iperf3_tcp_without_warmup),
        cmocka_unit_test(test_iperf3_tcp_reverse),
        cmocka_unit_test(test_iperf3_tcp_bytes),
        cmocka_unit_test(test_iperf3_udp_counts_what_arrived),
        cmocka_unit_test(test_iperf3_udp_reverse),
        cmocka_unit_test(test_iperf3_says_what_failed),
        cmocka_unit_test(test_iperf3_broken_reports),
    };

    return cmocka_run_group_tests_name("bench_peers", tests, NULL, NULL);
}
