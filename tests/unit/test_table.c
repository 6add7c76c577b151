/*
 * table and sentence: the sentence says what the table shows, for Volley faster, slower, equal,
 * failed, and without TCP.
 */
#include "bench/matrix/table.h"
#include "support/synthetic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY "repeats 4..4\ntime 1s\nlink veth\nmemory tcp cc=cubic,bbr\nmemory volley\n"

static double volley_bits_per_s;

/* cubic 20 Gbit/s, bbr 10, Volley as set, each a little different from run to run. */
static double rate(const struct bench_row *row, unsigned nth)
{
    double base = row->protocol[0] == 'v'       ? volley_bits_per_s
                  : strcmp(row->cc, "bbr") == 0 ? 10e9
                                                : 20e9;

    return base * (1 + 0.01 * (double)(nth % 2));
}

/* Volley's rates around TCP's. */
static double rate_around(const struct bench_row *row, unsigned nth)
{
    static const double factors[] = {0.9, 1.1, 0.95, 1.06};

    return row->protocol[0] == 'v' ? 20e9 * factors[nth % 4] : rate(row, 0);
}

static char *table_of(const json_t *doc)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    bench_table_print(f, doc);
    fclose(f);
    return text;
}

static void expect_text(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no '%s' in: %s", part, text);
}

/* What stands in a row's line of the table stands in the sentence. */
static void expect_agreement(const json_t *doc, const char *table, const char *sentence)
{
    struct bench_estimate goodput, ratio;
    const json_t *volley = bench_result_row(doc, 2);
    char part[128];

    assert_true(bench_result_estimate(volley, "goodput_bits_per_s", &goodput));
    assert_true(bench_result_estimate(volley, "ratio", &ratio));
    snprintf(part, sizeof part, "%s [", bench_number_text(goodput.median / 1e9).s);
    expect_text(table, part);
    snprintf(part, sizeof part, "%s [%s, %s]", bench_number_text(ratio.median).s,
             bench_number_text(ratio.low).s, bench_number_text(ratio.high).s);
    expect_text(table, part);
    snprintf(part, sizeof part, "moved %s Gbit/s", bench_number_text(goodput.median / 1e9).s);
    expect_text(sentence, part);
    snprintf(part, sizeof part, "%s times its rate", bench_number_text(ratio.median).s);
    expect_text(sentence, part);
}

static void compare(double volley, double (*rates)(const struct bench_row *, unsigned),
                    const char *says)
{
    struct synthetic s = {.rate = rates};
    json_t *doc;
    char *table;

    volley_bits_per_s = volley;
    doc = synthetic_result(&s, MEMORY);
    table = table_of(doc);
    expect_agreement(doc, table, bench_result_text(doc, "sentence"));
    expect_text(bench_result_text(doc, "sentence"), says);
    free(table);
    json_decref(doc);
}

static void test_sentence_agrees_with_the_table(void **state)
{
    (void)state;
    compare(30e9, rate,
            "over veth-1500 and was faster than the fastest TCP (cubic, 20.1 Gbit/s): 1.5");
    compare(10e9, rate, "was slower than the fastest TCP (cubic, 20.1 Gbit/s): 0.50 times");
    compare(20e9, rate, "was about as fast as the fastest TCP (cubic, 20.1 Gbit/s): 1.00 times");
    compare(20e9, rate_around, "was about as fast as the fastest TCP (cubic, 20.0 Gbit/s): 1.0");
}

static void expect_sentence(struct synthetic *s, const char *config, const char *sentence,
                            const char *table_part)
{
    json_t *doc = synthetic_result(s, config);
    char *table = table_of(doc);

    assert_string_equal(bench_result_text(doc, "sentence"), sentence);
    expect_text(table, table_part);
    free(table);
    json_decref(doc);
}

/* Volley 12, without encryption 16, TLS 6, TCP 20, a little more in every second round. */
static double sealed_rate(const struct bench_row *row, unsigned nth)
{
    double base = strcmp(row->protocol, "volley") == 0         ? 12e9
                  : strcmp(row->protocol, "volley-plain") == 0 ? 16e9
                  : strcmp(row->protocol, "tls") == 0          ? 6e9
                                                               : 20e9;

    return base * (1 + 0.01 * (double)(nth % 2));
}

/* Encrypted is measured against encrypted, plain against plain. */
static void test_sentence_of_encryption(void **state)
{
    struct synthetic s = {.rate = sealed_rate};

    (void)state;
    expect_sentence(&s,
                    "repeats 4..4\ntime 1s\nlink veth\nmemory tcp cc=cubic\nmemory tls cc=bbr\n"
                    "memory volley-plain\nmemory volley\n",
                    "On this machine Volley, encrypted, moved 12.1 Gbit/s from memory to memory "
                    "over veth-1500 and was faster than TLS 1.3 (bbr, 6.03 Gbit/s): 2.00 times its "
                    "rate; without encryption it moved 16.1 Gbit/s and was slower than the fastest "
                    "TCP (cubic, 20.1 Gbit/s): 0.80 times its rate.",
                    "volley-plain");
    expect_sentence(&s,
                    "repeats 4..4\ntime 1s\nlink veth\nmemory tls cc=bbr\n"
                    "memory volley suite=aes-128-gcm\n",
                    "On this machine Volley, encrypted by aes-128-gcm, moved 12.1 Gbit/s from "
                    "memory to memory over veth-1500 and was faster than TLS 1.3 (bbr, 6.03 "
                    "Gbit/s): 2.00 times its rate.",
                    "volley-aes-128-gcm");
    expect_sentence(&s,
                    "repeats 4..4\ntime 1s\nlink veth\nmemory tls\nmemory tcp cc=cubic\n"
                    "memory volley-plain\n",
                    "On this machine Volley without encryption moved 16.1 Gbit/s from memory to "
                    "memory over veth-1500 and was slower than the fastest TCP (cubic, 20.1 "
                    "Gbit/s): 0.80 times its rate.",
                    "volley-plain");
}

static void test_verdict(void **state)
{
    (void)state;
    assert_int_equal(bench_verdict(&(struct bench_estimate){1.1, 1.01, 1.2, 4}), BENCH_FASTER);
    assert_int_equal(bench_verdict(&(struct bench_estimate){1.1, 1.0, 1.2, 4}), BENCH_SAME);
    assert_int_equal(bench_verdict(&(struct bench_estimate){0.9, 0.8, 0.99, 4}), BENCH_SLOWER);
    assert_int_equal(bench_verdict(&(struct bench_estimate){0.9, 0.8, 1.0, 4}), BENCH_SAME);
    /* what is printed as 1.00 is no difference, however sure it is */
    assert_int_equal(bench_verdict(&(struct bench_estimate){1.004, 1.003, 1.005, 4}), BENCH_SAME);
    assert_int_equal(bench_verdict(&(struct bench_estimate){0.996, 0.995, 0.997, 4}), BENCH_SAME);
    /* one sample has no interval, two have one only in name */
    assert_int_equal(bench_verdict(&(struct bench_estimate){3, 3, 3, 1}), BENCH_UNCLEAR);
    assert_int_equal(bench_verdict(&(struct bench_estimate){0.3, 0.2, 0.4, 2}), BENCH_UNCLEAR);
    assert_int_equal(bench_verdict(&(struct bench_estimate){1, 1, 1, 2}), BENCH_UNCLEAR);
    assert_int_equal(bench_verdict(&(struct bench_estimate){3, 2, 4, 3}), BENCH_FASTER);
    /* an interval with room for twice as slow is no proof of being alike */
    assert_int_equal(bench_verdict(&(struct bench_estimate){0.7, 0.5, 1.1, 4}), BENCH_UNCLEAR);
    assert_int_equal(bench_verdict(&(struct bench_estimate){1.1, 0.9, 1.3, 4}), BENCH_UNCLEAR);
    assert_int_equal(bench_verdict(&(struct bench_estimate){0.9, 0.85, 1.2, 4}), BENCH_SAME);
}

static double quiet(unsigned nth)
{
    return nth == 3 ? 0.011 : 0.002;
}

/* Peak memory of either side, and below what the host took. */
static void test_table_tells_memory_and_steal(void **state)
{
    struct synthetic s = {.rate = rate, .steal = quiet};
    json_t *doc;
    char *table;

    (void)state;
    volley_bits_per_s = 10e9;
    doc = synthetic_result(&s, MEMORY);
    table = table_of(doc);
    expect_text(table, "CPU-s/GB  peak MiB    retransmits");
    expect_text(table, "0.500     12.0 2.50   3");
    expect_text(table,
                "\nThe host took 0.3 % of the processor time during the runs, at most 1.1 % ");
    free(table);
    json_decref(doc);
}

static void test_numbers(void **state)
{
    (void)state;
    assert_string_equal(bench_number_text(0).s, "0.00");
    assert_string_equal(bench_number_text(0.516).s, "0.52");
    assert_string_equal(bench_number_text(9.996).s, "10.0");
    assert_string_equal(bench_number_text(14.24).s, "14.2");
    assert_string_equal(bench_number_text(99.96).s, "100");
    assert_string_equal(bench_number_text(941.3).s, "941");
}

static double fails(const struct bench_row *row, unsigned nth)
{
    return row->protocol[0] == 'v' ? -1 : rate(row, nth);
}

static void test_sentence_without_figures(void **state)
{
    struct synthetic failing = {.rate = fails}, missing = {.missing = "tcp"}, none = {0},
                     gone = {.missing = "volley"};

    (void)state;
    expect_sentence(&failing, MEMORY,
                    "On this machine Volley did not run from memory to memory over veth-1500: the "
                    "peer died.",
                    "failed: the peer died");
    expect_sentence(
        &gone, MEMORY,
        "On this machine Volley did not run from memory to memory over veth-1500: volley "
        "is not installed.",
        "failed: volley is not installed");
    expect_sentence(&missing, MEMORY,
                    "On this machine Volley, encrypted, moved 1.00 Gbit/s from memory to memory "
                    "over veth-1500; "
                    "there is no TCP row to compare with.",
                    "failed: tcp is not installed");
    expect_sentence(&none, "repeats 1..1\ntime 1s\nlink lo\nmemory tcp\n",
                    "Volley was not among the rows.", "1 (reference)");
}

/* memory before file, veth before lo */
static void test_sentence_chooses(void **state)
{
    struct synthetic s = {0}, files = {0};

    (void)state;
    expect_sentence(
        &s,
        "repeats 3..3\ntime 1s\nsize 125MB\nlink lo\nlink veth mtu=9000\nfile tcp\n"
        "file volley\nmemory tcp\nmemory volley\n",
        "On this machine Volley, encrypted, moved 1.00 Gbit/s from memory to memory over veth-9000 "
        "and "
        "was about as fast as the fastest TCP (cubic, 1.00 Gbit/s): 1.00 times its rate.",
        "lo, file to file, 119 MiB\n");
    expect_sentence(&files, "repeats 3..3\nsize 125MB\nlink lo\nfile tcp\nfile volley\n",
                    "On this machine Volley, encrypted, moved 1.00 Gbit/s from file to file over "
                    "lo and was about "
                    "as fast as the fastest TCP (cubic, 1.00 Gbit/s): 1.00 times its rate.",
                    "tcp (cubic)");
}

/* The first link's Volley is faster, the second's slower, the third's fails, the fourth's equal. */
static double by_link(const struct bench_row *row, unsigned nth)
{
    static const double rates[] = {2e6, 2e6, 2e6, 0.5e6, 0.5e6, 0.5e6, -1, -1, 1e6, 1e6, 1e6};

    return row->protocol[0] == 'v' ? rates[nth] : 1e6;
}

static void test_sentence_counts_links(void **state)
{
    struct synthetic s = {.rate = by_link};

    (void)state;
    expect_sentence(
        &s,
        "repeats 3..3\ntime 1s\nlink emulated rate=1Mbit rtt=1ms,2ms,3ms,4ms\nmemory tcp\n"
        "memory volley\n",
        "Of 4 emulated links, Volley was faster than the fastest TCP on 1, about as fast on "
        "1 and slower on 1, and there is nothing to compare on 1: 1.00 times its rate in "
        "the median.",
        "Mbit/s [95 %]");
}

/* Volley's row fails from its third round on: two pairs are left, whatever they say. */
static double dies_early(const struct bench_row *row, unsigned nth)
{
    return row->protocol[0] == 'v' ? (nth < 2 ? 40e9 : -1) : rate(row, nth);
}

static void test_sentence_claims_nothing_of_two_pairs(void **state)
{
    struct synthetic s = {.rate = dies_early};
    json_t *doc = synthetic_result(&s, MEMORY);

    (void)state;
    expect_text(bench_result_text(doc, "sentence"),
                "and was neither clearly faster nor clearly slower than the fastest TCP (cubic, "
                "20.1 Gbit/s): 1.99 times its rate.");
    json_decref(doc);
}

static void test_sentence_counts_unclear_links(void **state)
{
    struct synthetic s = {0};

    (void)state;
    expect_sentence(&s,
                    "repeats 2..2\ntime 1s\nlink emulated rate=1Mbit rtt=1ms,2ms\nmemory tcp\n"
                    "memory volley\n",
                    "Of 2 emulated links, Volley was faster than the fastest TCP on 0, about as "
                    "fast on 0 and slower on 0, unclear on 2: 1.00 times its rate in the median.",
                    "Gbit/s [95 %]");
}

/* A quarter of what raw UDP sends is lost; others send again, and say how often. */
static void test_table_tells_what_is_lost(void **state)
{
    struct synthetic s = {0};
    json_t *doc = synthetic_result(&s, "repeats 3..3\ntime 1s\nlink lo\nmemory udp-raw\n"
                                       "memory volley\n");
    char *table = table_of(doc);

    (void)state;
    expect_text(table, " 25.0 % lost\n");
    expect_text(table, " 3\n");
    assert_true(json_is_null(
        json_object_get(json_object_get(bench_result_row(doc, 1), "summary"), "lost_share")));
    free(table);
    json_decref(doc);
}

/* A result may come from anywhere: nothing of it moves the cursor. */
static void test_table_escapes(void **state)
{
    struct synthetic s = {0};
    json_t *doc = synthetic_result(&s, MEMORY);
    char sentence[BENCH_SENTENCE_BYTES], *table;

    (void)state;
    for (size_t i = 0; i < bench_result_rows(doc); i++) {
        json_t *row = bench_result_row(doc, i);
        json_object_set_new(row, "label", json_string("\x1b[2Jx"));
        json_object_set_new(row, "cc", json_string("\x1b[2Jx"));
        json_object_set_new(row, "link", json_string("\x1b[2Jx"));
        bench_result_refuse(row, VLY_E_FAILED, "\x1b[2Jx");
    }
    bench_sentence(doc, sentence);
    table = table_of(doc);
    assert_null(strchr(sentence, '\x1b'));
    assert_null(strchr(table, '\x1b'));
    free(table);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentence_agrees_with_the_table),
        cmocka_unit_test(test_sentence_of_encryption),
        cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_table_tells_memory_and_steal),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_sentence_without_figures),
        cmocka_unit_test(test_sentence_chooses),
        cmocka_unit_test(test_sentence_counts_links),
        cmocka_unit_test(test_sentence_claims_nothing_of_two_pairs),
        cmocka_unit_test(test_sentence_counts_unclear_links),
        cmocka_unit_test(test_table_tells_what_is_lost),
        cmocka_unit_test(test_table_escapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
