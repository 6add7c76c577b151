/*
 * matrix: what a file means, the names that come of it, and one line for each mistake.
 */
#include "bench/matrix/matrix.h"
#include "support/tmpdir.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LO "link lo\n"
#define ROW "memory tcp time=1s\n"

static struct bench_matrix good(const char *text)
{
    struct bench_matrix m;
    char why[BENCH_WHY_BYTES] = "";

    if (bench_matrix_parse(&m, "f", text, why) != 0)
        fail_msg("%s", why);
    return m;
}

static void test_matrix_settings(void **state)
{
    struct bench_matrix m =
        good("# nothing\n\n  name\tgo-1.x # why\nseed 7\nrepeats 2..5\n"
             "precision 0.5%\nmax-steal 3%\nsteal-retries 7\ntime 3s\nwarmup 1s\ninterval "
             "250ms\ntimeout 5s\n"
             "size 1MiB\ndirectory /var/tmp\nlink lo\nmemory tcp\nfile tcp\r\n");
    const struct bench_row *tcp = &m.rows[0].row, *file = &m.rows[1].row;

    (void)state;
    assert_string_equal(m.name, "go-1.x");
    assert_int_equal(m.seed, 7);
    assert_int_equal(m.rounds_min, 2);
    assert_int_equal(m.rounds_max, 5);
    assert_true(fabs(m.precision - 0.005) < 1e-12);
    assert_true(fabs(m.steal.most - 0.03) < 1e-12);
    assert_int_equal(m.steal.retries, 7);
    assert_int_equal(tcp->duration_ns, VLY_S(3));
    assert_int_equal(tcp->warmup_ns, VLY_S(1));
    assert_int_equal(tcp->interval_ns, VLY_MS(250));
    assert_int_equal(tcp->bytes, 0);
    assert_int_equal(tcp->parallel, 1);
    assert_int_equal(file->bytes, 1u << 20);
    assert_int_equal(file->duration_ns + file->warmup_ns + file->interval_ns, 0);
    assert_string_equal(file->directory, "/var/tmp");
    assert_int_equal(bench_matrix_timeout_ns(&m, tcp), VLY_S(9));
    assert_int_equal(bench_matrix_seed(&m, 3), 10);
    bench_matrix_fini(&m);
}

/* rtt is split, loss is that of the way from left to right, the rate that of both. */
static void test_matrix_emulated_link(void **state)
{
    struct bench_matrix m =
        good("link emulated rate=100Mbit rtt=25ms loss=1% jitter=1ms "
             "queue=64KiB reorder=2% duplicate=3% corrupt=4% codel=on mtu=9000\n" ROW);
    const struct bench_lab_spec *lab;
    const struct vly_link_spec *forward, *back;

    (void)state;
    assert_int_equal(m.n_links, 1);
    lab = &m.links[0].lab;
    forward = &lab->way[BENCH_LEFT];
    back = &lab->way[BENCH_RIGHT];
    assert_int_equal(lab->kind, BENCH_LAB_EMULATED);
    assert_int_equal(lab->mtu_bytes, 9000);
    assert_true(lab->codel[0].on && lab->codel[1].on);
    assert_int_equal(forward->rate_bytes_per_s, 12500000);
    assert_int_equal(back->rate_bytes_per_s, 12500000);
    assert_int_equal(forward->delay_ns, VLY_US(12500));
    assert_int_equal(back->delay_ns, VLY_US(12500));
    assert_int_equal(forward->queue_bytes, 65536);
    assert_int_equal(forward->reorder_ns, VLY_MS(1)); /* held back so long when nothing is said */
    assert_true(forward->loss == 0.01 && back->loss == 0);
    assert_true(forward->reorder == 0.02 && forward->duplicate == 0.03 && forward->corrupt == 0.04);
    assert_true(back->reorder == 0 && back->duplicate == 0 && back->corrupt == 0);
    bench_matrix_fini(&m);
}

static void test_matrix_back_ways_and_bursts(void **state)
{
    struct bench_matrix m = good("link netem rate=8Mbit back-rate=1Mbit rtt=3ns loss=1% burst=5 "
                                 "back-loss=10%\n" ROW);
    const struct vly_link_spec *way = m.links[0].lab.way;

    (void)state;
    assert_true(m.links[0].lab.netem);
    assert_string_equal(m.links[0].name, "netem-8Mbit-back1Mbit-3ns-1%-burst5-backloss10%");
    assert_int_equal(way[BENCH_LEFT].rate_bytes_per_s, 1000000);
    assert_int_equal(way[BENCH_RIGHT].rate_bytes_per_s, 125000);
    assert_int_equal(way[BENCH_LEFT].delay_ns + way[BENCH_RIGHT].delay_ns, 3);
    assert_true(way[BENCH_RIGHT].loss == 0.1 && way[BENCH_LEFT].loss == 0);
    /* in the bad state for 5 packets on average, and 1 % of the time */
    assert_true(fabs(way[BENCH_LEFT].burst_leave - 0.2) < 1e-12);
    assert_true(way[BENCH_LEFT].burst_loss == 1);
    assert_true(fabs(way[BENCH_LEFT].burst_enter / (way[BENCH_LEFT].burst_enter + 0.2) - 0.01) <
                1e-12);
    bench_matrix_fini(&m);
}

static void test_matrix_multiplies(void **state)
{
    struct bench_matrix m =
        good("time 1s\nsize 1MiB\nlink emulated rate=10Mbit,100Mbit rtt=20ms,100ms loss=0%,1%,2%\n"
             "memory tcp cc=cubic,bbr\nfile tcp\nmemory volley\n");

    (void)state;
    assert_int_equal(m.n_links, 12);
    assert_int_equal(m.n_rows, 48);
    assert_int_equal(m.n_groups, 24);
    assert_string_equal(m.links[0].name, "10Mbit-20ms-0%");
    assert_string_equal(m.links[1].name, "10Mbit-20ms-1%");
    assert_string_equal(m.links[3].name, "10Mbit-100ms-0%");
    assert_string_equal(m.links[11].name, "100Mbit-100ms-2%");
    /* the rows of a group stand together, in the order of the file */
    assert_string_equal(m.rows[0].id, "10Mbit-20ms-0%/memory/tcp-cubic");
    assert_string_equal(m.rows[1].id, "10Mbit-20ms-0%/memory/tcp-bbr");
    assert_string_equal(m.rows[2].id, "10Mbit-20ms-0%/memory/volley");
    assert_string_equal(m.rows[3].id, "10Mbit-20ms-0%/file/tcp");
    assert_string_equal(m.rows[4].id, "10Mbit-20ms-1%/memory/tcp-cubic");
    assert_string_equal(m.rows[47].id, "100Mbit-100ms-2%/file/tcp");
    for (size_t i = 1; i < m.n_rows; i++)
        assert_in_range(m.rows[i].group, m.rows[i - 1].group, m.rows[i - 1].group + 1);
    assert_int_equal(m.rows[47].link, 11);
    assert_string_equal(m.rows[1].row.cc, "bbr");
    bench_matrix_fini(&m);
}

static void test_matrix_row_keys(void **state)
{
    struct bench_matrix m =
        good("time 1s\nwarmup 1s\nlink veth\nlink veth mtu=9000 offloads=off\n"
             "memory tcp cc=default parallel=4 reverse=on mss=1448 rate=1Gbit block=16KiB\n"
             "memory volley io=gso size=10KB,1MB\nmemory tls time=2s warmup=0s\n");

    (void)state;
    assert_string_equal(m.links[0].name, "veth-1500");
    assert_string_equal(m.links[1].name, "veth-9000-nooffloads");
    assert_true(!m.links[0].lab.offloads_off && m.links[1].lab.offloads_off);
    assert_string_equal(m.rows[0].label, "tcp-default-P4-reverse-mss1448-1Gbit-block16KiB");
    assert_string_equal(m.rows[0].row.cc, "");
    assert_int_equal(m.rows[0].row.parallel, 4);
    assert_true(m.rows[0].row.reverse);
    assert_int_equal(m.rows[0].row.mss_bytes, 1448);
    assert_int_equal(m.rows[0].row.rate_bytes_per_s, 125000000);
    assert_int_equal(m.rows[0].row.block_bytes, 16384);
    assert_int_equal(m.rows[0].row.warmup_ns, VLY_S(1));
    assert_string_equal(m.rows[1].label, "tls-for2s");
    assert_int_equal(m.rows[1].row.duration_ns, VLY_S(2));
    assert_int_equal(m.rows[1].row.warmup_ns, 0);
    assert_int_equal(m.rows[1].group, m.rows[0].group);
    /* sizes are groups of their own: a rate over 10 KB says nothing about one over 1 MB */
    assert_string_equal(m.rows[2].label, "volley-gso-10KB");
    assert_int_equal(m.rows[2].row.bytes, 10000);
    assert_int_equal(m.rows[2].row.duration_ns + m.rows[2].row.warmup_ns, 0);
    assert_int_equal(m.rows[2].group, m.rows[0].group + 1);
    assert_int_equal(m.rows[3].group, m.rows[0].group + 2);
    bench_matrix_fini(&m);
}

/* Suites and backends stand apart, in one group. */
static void test_matrix_protection(void **state)
{
    struct bench_matrix m = good("time 1s\nlink lo\nmemory volley crypto=openssl,ipsec-mb\n"
                                 "memory volley-tcp suite=chacha20-poly1305\nmemory volley-plain\n"
                                 "file volley-tcp size=1MB crypto=openssl\n");

    (void)state;
    assert_int_equal(m.n_rows, 5);
    assert_string_equal(m.rows[0].label, "volley-openssl");
    assert_string_equal(m.rows[0].row.crypto, "openssl");
    assert_string_equal(m.rows[1].label, "volley-ipsec-mb");
    assert_string_equal(m.rows[2].label, "volley-tcp-chacha20-poly1305");
    assert_string_equal(m.rows[2].row.suite, "chacha20-poly1305");
    assert_string_equal(m.rows[3].label, "volley-plain");
    assert_int_equal(m.rows[3].group, m.rows[0].group);
    assert_string_equal(m.rows[4].row.protocol, "volley-tcp");
    bench_matrix_fini(&m);
}

static void test_matrix_ack_every_and_spin(void **state)
{
    struct bench_matrix m = good("time 1s\nlink lo\nmemory volley-plain\n"
                                 "memory volley-plain ack-every=2,64\n"
                                 "memory volley-plain spin=off\n");

    (void)state;
    assert_int_equal(m.n_rows, 4);
    assert_int_equal(m.rows[0].row.ack_every_pkts, 0);
    assert_string_equal(m.rows[1].label, "volley-plain-ack2");
    assert_int_equal(m.rows[1].row.ack_every_pkts, 2);
    assert_string_equal(m.rows[2].label, "volley-plain-ack64");
    assert_int_equal(m.rows[2].row.ack_every_pkts, 64);
    assert_int_equal(m.rows[2].group, m.rows[0].group);
    assert_true(m.rows[3].row.no_spin && !m.rows[0].row.no_spin);
    bench_matrix_fini(&m);
}

/* Each says the line, and what was expected or is wrong. */
static void test_matrix_mistakes(void **state)
{
    static const struct {
        const char *text, *line, *says;
    } bad[] = {
        {"", "f:1: ", "no link"},
        {LO, "f:2: ", "no row"},
        {"bogus 1\n", "f:1: ", "'bogus'"},
        {"\n\nseed x\n", "f:3: ", "a whole number"},
        {"seed\n", "f:1: ", "a whole number"},
        {"seed 1 2\n", "f:1: ", "not '2'"},
        {"seed -1\n", "f:1: ", "-1"},
        {"seed 18446744073709551615\n", "f:1: ", "seed"},
        {"seed 1\nseed 1\n", "f:2: ", "twice"},
        {LO "seed 1\n", "f:2: ", "above"},
        {"name a/b\n", "f:1: ", "a/b"},
        {"name .hidden\n", "f:1: ", "hidden"},
        {"repeats 5..3\n", "f:1: ", "MIN..MAX"},
        {"repeats 0..3\n", "f:1: ", "MIN..MAX"},
        {"repeats 3...5\n", "f:1: ", "MIN..MAX"},
        {"repeats 1..201\n", "f:1: ", "MIN..MAX"},
        {"precision 2\n", "f:1: ", "2%"},
        {"max-steal 2\n", "f:1: ", "2%"},
        {"steal-retries 101\n", "f:1: ", "0 to 100"},
        {"steal-retries -1\n", "f:1: ", "0 to 100"},
        {"time 2h\n", "f:1: ", "at most 1h"},
        {"time 0s\n", "f:1: ", "0s"},
        {"interval 1ms\n", "f:1: ", "10ms"},
        {"directory tmp\n", "f:1: ", "begins with /"},
        {"link\n", "f:1: ", "emulated"},
        {"link wire\n", "f:1: ", "'wire'"},
        {"link lo mtu=1500\n", "f:1: ", "'mtu='"},
        {LO LO, "f:2: ", "twice"},
        {"link veth mtu=100\n", "f:1: ", "1280"},
        {"link veth offloads=maybe\n", "f:1: ", "on or off"},
        {"link emulated\n", "f:1: ", "rate= or rtt="},
        {"link emulated loss=1%\n", "f:1: ", "rate= or rtt="},
        {"link emulated rate=10\n", "f:1: ", "100Mbit"},
        {"link emulated rate=\n", "f:1: ", "not ''"},
        {"link emulated rate=1Mbit,\n", "f:1: ", "not ''"},
        {"link emulated rate\n", "f:1: ", "KEY=VALUE"},
        {"link emulated rate=1Mbit rate=2Mbit\n", "f:1: ", "twice"},
        {"link emulated rate=1Mbit loss=101%\n", "f:1: ", "1%"},
        {"link emulated rate=1Mbit burst=3\n", "f:1: ", "loss="},
        {"link emulated rate=1Mbit reorder-delay=3ms\n", "f:1: ", "reorder="},
        {"link emulated rate=1Mbit rtt=20ms,20ms\n", "f:1: ", "twice"},
        {LO "memory\n", "f:2: ", "none of"},
        {LO "memory quic\n", "f:2: ", "'quic'"},
        {LO "memory scp\n", "f:2: ", "only files"},
        {LO "file udp-raw\n", "f:2: ", "no files"},
        {LO "memory tcp\n", "f:2: ", "setting time"},
        {LO "file tcp\n", "f:2: ", "setting size"},
        {LO "memory tcp size=1MB time=1s\n", "f:2: ", "neither"},
        {LO "file tcp size=1MB time=1s\n", "f:2: ", "'time='"},
        {LO "memory tcp time=1s cc=Cubic\n", "f:2: ", "Cubic"},
        {LO "memory tcp time=1s cc=a-name-that-is-too-long\n", "f:2: ", "cc="},
        {LO "memory volley time=1s ack-every=0\n", "f:2: ", "1 to 128"},
        {LO "memory volley time=1s ack-every=129\n", "f:2: ", "1 to 128"},
        {LO "memory volley time=1s ack-every=two\n", "f:2: ", "1 to 128"},
        {LO "file volley size=1MB ack-every=2\n", "f:2: ", "'ack-every='"},
        {LO "memory tcp time=1s parallel=0\n", "f:2: ", "1 to 1000"},
        {LO "memory tcp time=1s\nmemory tcp time=1s\n", "f:3: ", "twice"},
        {LO "memory tcp cc=\x1b[2J\n", "f:2: ", "\\x1b"},
        {"name \xff\n", "f:0: ", "UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char why[BENCH_WHY_BYTES] = "";
        struct bench_matrix m;
        if (bench_matrix_parse(&m, "f", bad[i].text, why) != VLY_E_INVALID)
            fail_msg("accepted: %s", bad[i].text);
        if (strncmp(why, bad[i].line, strlen(bad[i].line)) != 0 || strstr(why, bad[i].says) == NULL)
            fail_msg("%s: %s", bad[i].text, why);
        bench_matrix_fini(&m);
    }
}

static void refused(const char *text, const char *says)
{
    char why[BENCH_WHY_BYTES] = "";
    struct bench_matrix m;

    assert_int_equal(bench_matrix_parse(&m, "f", text, why), VLY_E_INVALID);
    if (strstr(why, says) == NULL)
        fail_msg("%s", why);
    bench_matrix_fini(&m);
}

static void test_matrix_bounds(void **state)
{
    static char text[65536];
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 33; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%dms",
                                i == 0 ? "link emulated rtt=" : ",", i + 1);
    refused(text, "32 values");
    len = 0;
    for (int i = 0; i < 257; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "link emulated rtt=%dms\n", i + 1);
    refused(text, "256 links");
    len = (size_t)snprintf(text, sizeof(text), "time 1s\n");
    for (int i = 0; i < 100; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "link emulated rtt=%dms\n", i + 1);
    for (int i = 0; i < 21; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "memory tcp cc=c%d\n", i);
    refused(text, "2048 rows");
    len = (size_t)snprintf(text, sizeof(text), "time 1s\nlink lo\n");
    for (int i = 0; i < 129; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "memory tcp cc=c%d\n", i);
    refused(text, "128 rows");
    refused("link lo a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1 n=1 o=1 p=1 q=1", "words");
    refused("link emulated rate=1.0000000000000000000000000000000000000000000000001Mbit "
            "rtt=1.0000000000000000000000000000000000000000000000001ms",
            "too long");
}

static void test_matrix_load(void **state)
{
    struct tmpdir *d = *state;
    char why[BENCH_WHY_BYTES] = "", *big = calloc(1, BENCH_TEXT_MAX + 2);
    struct bench_matrix m;

    assert_non_null(big);
    memset(big, '\n', BENCH_TEXT_MAX + 1);
    assert_int_equal(bench_matrix_load(&m, tmpdir_at(d, "none"), why), VLY_E_NOT_FOUND);
    bench_matrix_fini(&m);
    assert_int_equal(bench_matrix_load(&m, d->path, why), VLY_E_IO);
    assert_non_null(strstr(why, "directory"));
    bench_matrix_fini(&m);
    tmpdir_write(d, "big", big, BENCH_TEXT_MAX + 1);
    free(big);
    assert_int_equal(bench_matrix_load(&m, tmpdir_at(d, "big"), why), VLY_E_LIMIT);
    bench_matrix_fini(&m);
    tmpdir_write(d, "nul", LO "\0", 9);
    assert_int_equal(bench_matrix_load(&m, tmpdir_at(d, "nul"), why), VLY_E_MALFORMED);
    bench_matrix_fini(&m);
    tmpdir_write(d, "good", LO ROW, strlen(LO ROW));
    assert_int_equal(bench_matrix_load(&m, tmpdir_at(d, "good"), why), 0);
    assert_int_equal(m.n_rows, 1);
    assert_string_equal(m.text, LO ROW);
    bench_matrix_fini(&m);
}

static void test_matrix_of_the_project(void **state)
{
    static const struct {
        const char *path;
        size_t rows;
    } files[] = {{"bench/matrices/ablation.conf", 42},
                 {"bench/matrices/course.conf", 48},
                 {"bench/matrices/full.conf", 69},
                 {"bench/matrices/quick.conf", 10}};
    const char *root = getenv("VOLLEY_SRC");

    (void)state;
    if (root == NULL)
        root = ".";
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[4096], why[BENCH_WHY_BYTES] = "";
        struct bench_matrix m;
        snprintf(path, sizeof path, "%s/%s", root, files[i].path);
        if (bench_matrix_load(&m, path, why) != 0)
            fail_msg("%s", why);
        assert_int_equal(m.n_rows, files[i].rows);
        bench_matrix_fini(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix_settings),
        cmocka_unit_test(test_matrix_emulated_link),
        cmocka_unit_test(test_matrix_back_ways_and_bursts),
        cmocka_unit_test(test_matrix_multiplies),
        cmocka_unit_test(test_matrix_row_keys),
        cmocka_unit_test(test_matrix_protection),
        cmocka_unit_test(test_matrix_ack_every_and_spin),
        cmocka_unit_test(test_matrix_mistakes),
        cmocka_unit_test(test_matrix_bounds),
        cmocka_unit_test_setup_teardown(test_matrix_load, tmpdir_setup, tmpdir_teardown),
        cmocka_unit_test(test_matrix_of_the_project),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
