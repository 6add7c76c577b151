#include "crypto/keytext.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

/* Hash and base64 computed by coreutils: printf ... | sha256sum, base64. */
static void test_keytext_known_answers(void **state)
{
    struct test_bytes zero = test_hex("00*32"),
                      count = test_hex("000102030405060708090a0b0c0d0e0f"
                                       "101112131415161718191a1b1c1d1e1f");

    (void)state;
    assert_string_equal(vly_public_key_text(zero.data).s,
                        "volley1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert_string_equal(vly_public_key_text(count.data).s,
                        "volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    assert_string_equal(vly_fingerprint(zero.data).s,
                        "SHA256:Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU");
    assert_string_equal(vly_fingerprint(count.data).s,
                        "SHA256:Yw3NKWbEM2aRElRIu7JbT/QSpJxzLbLIq8G4WBvXEN0");
    free(zero.data);
    free(count.data);
}

static void test_keytext_reads_what_it_writes(void **state)
{
    struct vly_prng prng;

    (void)state;
    vly_prng_init(&prng, test_seed());
    for (unsigned i = 0; i < 1000; i++) {
        uint8_t key[VLY_PUBLIC_KEY_BYTES], back[VLY_PUBLIC_KEY_BYTES];

        for (size_t k = 0; k < sizeof(key); k++)
            key[k] = (uint8_t)vly_prng_u64(&prng);
        assert_int_equal(vly_public_key_parse(vly_public_key_text(key).s, back), 0);
        assert_memory_equal(key, back, sizeof(key));
    }
}

static void test_keytext_takes_one_spelling(void **state)
{
    static const char *const bad[] = {
        "",
        "volley1:",
        "volley1",
        "volley2:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "Volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        " volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "volley1: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",   /* no padding */
        "volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==", /* too much */
        "volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= ", /* something behind */
        "volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",  /* bits that mean nothing */
        "volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",  /* 31 bytes */
        "volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g",  /* 33 bytes */
        "volley1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh-=",  /* the other alphabet */
        "volley1:AAECAwQFBgcICQoLDA0ODxAR\nEhMUFRYXGBkaGxwdHh8=",
        "SHA256:Yw3NKWbEM2aRElRIu7JbT/QSpJxzLbLIq8G4WBvXEN0",
    };
    uint8_t key[VLY_PUBLIC_KEY_BYTES];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        print_message("  '%s'\n", bad[i]);
        assert_int_equal(vly_public_key_parse(bad[i], key), VLY_E_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keytext_known_answers),
        cmocka_unit_test(test_keytext_reads_what_it_writes),
        cmocka_unit_test(test_keytext_takes_one_spelling),
    };

    return cmocka_run_group_tests_name("keytext", tests, NULL, NULL);
}
