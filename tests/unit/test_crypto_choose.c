#include "support/suites.h"

#include <string.h>

static void test_backend_names(void **state)
{
    static const struct {
        const char *name;
        bool known;
        enum vly_backend backend;
    } cases[] = {
        {"auto", true, VLY_BACKEND_AUTO},         {"openssl", true, VLY_BACKEND_OPENSSL},
        {"ipsec-mb", true, VLY_BACKEND_IPSEC_MB}, {"", false, VLY_BACKEND_AUTO},
        {"OpenSSL", false, VLY_BACKEND_AUTO},     {"ipsec", false, VLY_BACKEND_AUTO},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum vly_backend backend = VLY_BACKEND_AUTO;

        assert_int_equal(vly_backend_parse(cases[i].name, &backend), cases[i].known);
        assert_int_equal(backend, cases[i].backend);
    }
}

static size_t count_sealed(const struct vly_crypto *c)
{
    size_t n = 0;

    while (n < VLY_SUITES_SEALED_MAX && c->sealed[n] != NULL)
        n++;
    for (size_t i = n; i < VLY_SUITES_SEALED_MAX; i++)
        assert_null(c->sealed[i]);
    return n;
}

static void test_both_suites_are_offered(void **state)
{
    const struct vly_crypto *c = vly_crypto_system();

    (void)state;
    assert_int_equal(count_sealed(c), 2);
    assert_int_equal(c->sealed[0]->id + c->sealed[1]->id,
                     VLY_SUITE_AES_256_GCM + VLY_SUITE_CHACHA20);
    assert_int_equal(c->noise->id, VLY_SUITE_AES_256_GCM);
    assert_int_equal(c->plain->id, VLY_SUITE_PLAIN);
}

static void test_one_suite_of_one_backend(void **state)
{
    static const char *const names[] = {"aes-256-gcm", "aes-128-gcm", "chacha20-poly1305"};
    struct vly_crypto c = *vly_crypto_system();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(vly_crypto_choose(&c, VLY_BACKEND_OPENSSL, names[i]), 0);
        assert_int_equal(count_sealed(&c), 1);
        assert_string_equal(c.sealed[0]->name, names[i]);
        assert_string_equal(c.sealed[0]->backend, "openssl");
    }
    assert_int_equal(vly_crypto_choose(&c, VLY_BACKEND_OPENSSL, "auto"), 0);
    assert_int_equal(count_sealed(&c), 2);
}

/* In the order of the list; AES-128 by its name only. */
static void test_several_suites(void **state)
{
    enum { AES = VLY_SUITE_AES_256_GCM, CHACHA = VLY_SUITE_CHACHA20, HALF = VLY_SUITE_AES_128_GCM };
    static const struct {
        const char *names;
        uint8_t ids[VLY_SUITES_SEALED_MAX];
    } cases[] = {
        {"auto", {AES, CHACHA}},
        {"aes-128-gcm,auto", {HALF, AES, CHACHA}},
        {"auto,aes-128-gcm", {AES, CHACHA, HALF}},
        {"aes-128-gcm,aes-256-gcm", {HALF, AES}},
        {"chacha20-poly1305,aes-256-gcm", {CHACHA, AES}},
        {"chacha20-poly1305,auto,auto,chacha20-poly1305", {CHACHA, AES}},
        {"aes-128-gcm,auto,aes-128-gcm,aes-256-gcm", {HALF, AES, CHACHA}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct vly_crypto c = *vly_crypto_system();

        assert_int_equal(vly_crypto_choose(&c, VLY_BACKEND_AUTO, cases[i].names), 0);
        for (size_t k = 0; k < VLY_SUITES_SEALED_MAX; k++)
            assert_int_equal(c.sealed[k] != NULL ? c.sealed[k]->id : 0, cases[i].ids[k]);
    }
}

/* What is refused changes nothing: plain is no suite to choose, nothing falls back to it. */
static void test_other_suites_are_refused(void **state)
{
    static const char *const names[] = {"plain",
                                        "",
                                        "aes",
                                        "aes-128",
                                        "AES-256-GCM",
                                        "aes-256-gcm,",
                                        ",aes-256-gcm",
                                        "aes-128-gcm,plain",
                                        "aes-128-gcm, aes-256-gcm",
                                        "auto;aes-128-gcm"};
    struct vly_crypto c = *vly_crypto_system();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(vly_crypto_choose(&c, VLY_BACKEND_AUTO, names[i]), VLY_E_INVALID);
    assert_int_equal(count_sealed(&c), 2);
}

/* On a machine without ipsec-mb the first choice is an error and the second falls to libcrypto. */
static void test_ipsec_mb_or_not(void **state)
{
    struct vly_crypto c = *vly_crypto_system();
    int err = vly_crypto_choose(&c, VLY_BACKEND_IPSEC_MB, "aes-256-gcm");

    (void)state;
    print_message("  ipsec-mb: %s\n", err == 0 ? "here" : "not on this machine");
    assert_true(err == 0 || err == VLY_E_STATE);
    assert_int_equal(count_sealed(&c), err == 0 ? 1 : 2);
    if (err == 0)
        assert_string_equal(c.sealed[0]->backend, "ipsec-mb");
    assert_int_equal(vly_crypto_choose(&c, VLY_BACKEND_AUTO, "aes-256-gcm"), 0);
    assert_string_equal(c.sealed[0]->backend, err == 0 ? "ipsec-mb" : "openssl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backend_names),
        cmocka_unit_test(test_both_suites_are_offered),
        cmocka_unit_test(test_one_suite_of_one_backend),
        cmocka_unit_test(test_several_suites),
        cmocka_unit_test(test_other_suites_are_refused),
        cmocka_unit_test(test_ipsec_mb_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
