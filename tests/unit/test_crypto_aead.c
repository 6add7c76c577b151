/* Published vectors, one file a suite, through every backend that this machine has. */
#include "support/cases.h"
#include "support/suites.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

struct suite_under_test {
    enum vly_backend backend;
    enum vly_suite id;
    const char *name, *file;
};

/* What one vector is, with room for its packet. */
struct packet {
    struct vly_span head, text, sealed;
    struct vly_aead_job job;
    uint8_t *out; /* owned; ends where its allocation ends */
};

static void packet_init(struct packet *p, const struct test_case *c, uint64_t number, bool seals)
{
    p->head = test_case_bytes(c, "head");
    p->text = test_case_bytes(c, "text");
    p->sealed = test_case_bytes(c, "sealed");
    assert_true(p->sealed.len >= VLY_TAG_BYTES);
    p->out = malloc(p->sealed.len);
    assert_non_null(p->out);
    memset(p->out, 0x5a, p->sealed.len);
    p->job = (struct vly_aead_job){
        .number = number,
        .head = p->head.data,
        .head_bytes = p->head.len,
        .in = seals ? p->text.data : p->sealed.data,
        .len = p->sealed.len - VLY_TAG_BYTES,
        .out = p->out,
    };
}

/* The IV that together with `number` makes the nonce of the vector. Behind a key that is shorter
 * than 32 bytes stands what must not matter. */
static void *keys_for(const struct vly_suite_ops *suite, const struct test_case *c, uint64_t number)
{
    struct vly_span given = test_case_bytes(c, "key");
    uint8_t key[VLY_KEY_BYTES], iv[VLY_IV_BYTES];

    assert_int_equal(given.len, suite->id == VLY_SUITE_AES_128_GCM ? 16 : 32);
    memset(key, (int)(0x5a ^ number), sizeof(key));
    memcpy(key, given.data, given.len);
    memcpy(iv, test_case_exactly(c, "iv", VLY_IV_BYTES), VLY_IV_BYTES);
    for (unsigned i = 0; i < 8; i++)
        iv[VLY_IV_BYTES - 1 - i] ^= (uint8_t)(number >> (8 * i));
    return test_keys_new(suite, key, iv);
}

static void check_seal(const struct vly_suite_ops *suite, void *keys, const struct test_case *c,
                       uint64_t number)
{
    struct packet p;

    packet_init(&p, c, number, true);
    assert_int_equal(p.text.len, p.job.len);
    suite->seal(keys, &p.job, 1);
    assert_memory_equal(p.out, p.sealed.data, p.sealed.len);
    free(p.out);
}

/* The same with the text in two parts, wherever it is cut. */
static void check_seal_in_parts(const struct vly_suite_ops *suite, void *keys,
                                const struct test_case *c, uint64_t number)
{
    size_t step = 1;
    bool in_place = false; /* every other time */

    for (size_t cut = 0; step > 0; cut += step, in_place = !in_place) {
        struct packet p;

        packet_init(&p, c, number, true);
        step = cut < p.text.len ? 1 + p.text.len / 100 : 0;
        if (cut > p.text.len)
            cut = p.text.len;
        if (in_place) {
            memcpy(p.out, p.text.data, cut);
            p.job.in = p.out;
        }
        p.job.len = cut;
        p.job.more = (struct vly_span){p.text.data + cut, p.text.len - cut};
        suite->seal(keys, &p.job, 1);
        assert_memory_equal(p.out, p.sealed.data, p.sealed.len);
        free(p.out);
    }
}

static void check_open(const struct vly_suite_ops *suite, void *keys, const struct test_case *c,
                       uint64_t number)
{
    struct packet p;

    packet_init(&p, c, number, false);
    suite->open(keys, &p.job, 1);
    if (p.job.ok != test_case_is(c, "valid"))
        fail_msg("%s: opened: %d", test_case_text(c, "case"), p.job.ok);
    if (p.job.ok && p.text.len > 0)
        assert_memory_equal(p.out, p.text.data, p.text.len);
    free(p.out);
}

/* The nonce as IV alone, and as IV and packet number. */
static void test_vectors(void **state)
{
    static const uint64_t numbers[] = {0, 1, UINT64_C(0x123456789abcdef0), UINT64_MAX};
    const struct suite_under_test *t = *state;
    const struct vly_suite_ops *suite = test_suite_or_skip(t->backend, t->id);
    struct test_cases cases = test_cases_load(t->file);
    size_t invalid = 0;

    for (size_t i = 0; i < cases.n; i++) {
        const struct test_case *c = &cases.v[i];

        for (size_t k = 0; k < ARRAY_LEN(numbers); k++) {
            void *keys = keys_for(suite, c, numbers[k]);

            check_open(suite, keys, c, numbers[k]);
            if (test_case_is(c, "valid")) {
                check_seal(suite, keys, c, numbers[k]);
                check_seal_in_parts(suite, keys, c, numbers[k]);
            }
            check_open(suite, keys, c, numbers[k]); /* whatever the keys have done before */
            test_keys_free(suite, keys);
        }
        invalid += test_case_is(c, "invalid");
    }
    print_message("  %s by %s: %zu vectors, %zu of them invalid\n", suite->name, suite->backend,
                  cases.n, invalid);
    assert_true(cases.n > 200 && invalid > 20);
    assert_int_equal(ERR_peek_error(), 0); /* a forgery leaves nothing in libcrypto's queue */
    test_cases_free(&cases);
}

static void test_says_what_it_is(void **state)
{
    const struct suite_under_test *t = *state;
    const struct vly_suite_ops *suite = test_suite_or_skip(t->backend, t->id);

    assert_int_equal(suite->id, t->id);
    assert_string_equal(suite->name, t->name);
    assert_string_equal(suite->backend, t->backend == VLY_BACKEND_OPENSSL ? "openssl" : "ipsec-mb");
    assert_true(suite->forgery_limit_pkts == UINT64_C(1) << 36); /* SPEC 2.12 */
}

int main(void)
{
    static struct suite_under_test suites[] = {
        {VLY_BACKEND_OPENSSL, VLY_SUITE_AES_256_GCM, "aes-256-gcm", "aes-256-gcm.txt"},
        {VLY_BACKEND_OPENSSL, VLY_SUITE_AES_128_GCM, "aes-128-gcm", "aes-128-gcm.txt"},
        {VLY_BACKEND_OPENSSL, VLY_SUITE_CHACHA20, "chacha20-poly1305", "chacha20-poly1305.txt"},
        {VLY_BACKEND_IPSEC_MB, VLY_SUITE_AES_256_GCM, "aes-256-gcm", "aes-256-gcm.txt"},
        {VLY_BACKEND_IPSEC_MB, VLY_SUITE_AES_128_GCM, "aes-128-gcm", "aes-128-gcm.txt"},
        {VLY_BACKEND_IPSEC_MB, VLY_SUITE_CHACHA20, "chacha20-poly1305", "chacha20-poly1305.txt"},
    };
    const struct CMUnitTest tests[] = {
        {"openssl aes-256-gcm vectors", test_vectors, NULL, NULL, &suites[0]},
        {"openssl aes-128-gcm vectors", test_vectors, NULL, NULL, &suites[1]},
        {"openssl chacha20-poly1305 vectors", test_vectors, NULL, NULL, &suites[2]},
        {"ipsec-mb aes-256-gcm vectors", test_vectors, NULL, NULL, &suites[3]},
        {"ipsec-mb aes-128-gcm vectors", test_vectors, NULL, NULL, &suites[4]},
        {"ipsec-mb chacha20-poly1305 vectors", test_vectors, NULL, NULL, &suites[5]},
        {"openssl aes-256-gcm names", test_says_what_it_is, NULL, NULL, &suites[0]},
        {"openssl aes-128-gcm names", test_says_what_it_is, NULL, NULL, &suites[1]},
        {"openssl chacha20-poly1305 names", test_says_what_it_is, NULL, NULL, &suites[2]},
        {"ipsec-mb aes-256-gcm names", test_says_what_it_is, NULL, NULL, &suites[3]},
        {"ipsec-mb aes-128-gcm names", test_says_what_it_is, NULL, NULL, &suites[4]},
        {"ipsec-mb chacha20-poly1305 names", test_says_what_it_is, NULL, NULL, &suites[5]},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
