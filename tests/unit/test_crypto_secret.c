#include "crypto/crypto.h"
#include "support/support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELD_MAX 300

struct held {
    uint8_t *p;
    size_t len;
    uint8_t fill;
};

static bool is_filled(const uint8_t *p, size_t len, uint8_t with)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != with)
            return false;
    return true;
}

static size_t random_len(struct vly_prng *prng)
{
    static const uint64_t limits[] = {1, 65, 1200, 70000, 200000};

    return (size_t)vly_prng_below(
        prng, limits[vly_prng_below(prng, vly_prng_below(prng, 20) == 0 ? 5 : 3)]);
}

static void take(struct held *h, struct vly_prng *prng)
{
    h->len = random_len(prng);
    h->p = vly_crypto_system()->secret_new(h->len);
    h->fill = (uint8_t)(1 + vly_prng_below(prng, 255));
    assert_non_null(h->p);
    assert_int_equal((uintptr_t)h->p % 64, 0);
    assert_true(is_filled(h->p, h->len, 0)); /* whatever was there before is gone */
    memset(h->p, h->fill, h->len);
}

static void give_back(struct held *h)
{
    assert_true(is_filled(h->p, h->len, h->fill)); /* nobody else has it */
    vly_crypto_system()->secret_free(h->p, h->len);
    h->p = NULL;
}

static void test_secrets_are_aligned_zeroed_and_apart(void **state)
{
    static struct held held[HELD_MAX];
    struct vly_prng prng;

    (void)state;
    vly_prng_init(&prng, test_seed());
    for (int i = 0; i < 20000; i++) {
        struct held *h = &held[vly_prng_below(&prng, HELD_MAX)];

        if (h->p == NULL)
            take(h, &prng);
        else
            give_back(h);
    }
    for (size_t i = 0; i < HELD_MAX; i++)
        if (held[i].p != NULL)
            give_back(&held[i]);
    vly_crypto_system()->secret_free(NULL, 10);
}

/* A neighbour keeps the memory mapped, so that the freed secret can be looked for. */
static void test_freed_secret_is_wiped(void **state)
{
    const struct vly_crypto *c = vly_crypto_system();
    void *neighbour = c->secret_new(1);
    volatile uint8_t *p = c->secret_new(100);

    (void)state;
    assert_non_null(neighbour);
    assert_non_null(p);
    memset((void *)(uintptr_t)p, 0xee, 100);
    c->secret_free((void *)(uintptr_t)p, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    c->secret_free(neighbour, 1);
}

/* The VmFlags of the mapping that holds `p`; false without /proc. */
static bool flags_of(const void *p, char out[256])
{
    FILE *f = fopen("/proc/self/smaps", "re");
    char line[256];
    bool inside = false;

    if (f == NULL)
        return false;
    while (fgets(line, sizeof(line), f) != NULL) {
        uintptr_t begin;
        uintptr_t end;

        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
            inside = begin <= (uintptr_t)p && (uintptr_t)p < end;
        if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            memcpy(out, line, sizeof(line));
            fclose(f);
            return true;
        }
    }
    fclose(f);
    return false;
}

/* Skips the test where nothing can be seen of locking: sanitizers turn mlock into nothing. */
static void need_locking(void)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char flags[256];
    bool sees;

    assert_true(page != MAP_FAILED);
    sees = mlock(page, page_bytes) == 0 && flags_of(page, flags) && strstr(flags, " lo") != NULL;
    assert_int_equal(munmap(page, page_bytes), 0);
    if (!sees) {
        print_message("  no memory can be seen to be locked here\n");
        skip();
    }
}

static void test_secrets_are_locked_and_not_dumped(void **state)
{
    static const size_t lens[] = {32, 100000};
    const struct vly_crypto *c = vly_crypto_system();

    (void)state;
    need_locking();
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        void *p = c->secret_new(lens[i]);
        char flags[256];

        assert_non_null(p);
        assert_true(flags_of(p, flags));
        assert_non_null(strstr(flags, " dd"));
        assert_int_equal(strstr(flags, " lo") != NULL, vly_secrets_are_locked());
        c->secret_free(p, lens[i]);
    }
}

/* Exit code 0: there is memory though none may be locked, and that is told. */
static int without_locking(void)
{
    const struct vly_crypto *c = vly_crypto_system();
    struct rlimit none = {0, 0};
    uint8_t *p;

    if ((getuid() == 0 && setuid(65534) != 0) || setrlimit(RLIMIT_MEMLOCK, &none) != 0)
        return 1;
    if (!vly_secrets_are_locked())
        return 2;
    p = c->secret_new(300000);
    if (p == NULL || !is_filled(p, 300000, 0))
        return 3;
    memset(p, 1, 300000);
    c->secret_free(p, 300000);
    return vly_secrets_are_locked() ? 4 : 0;
}

static void test_no_locked_memory_is_told(void **state)
{
    int status;
    pid_t child;

    (void)state;
    need_locking();
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(without_locking());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_wipe(void **state)
{
    uint8_t secret[33];

    (void)state;
    memset(secret, 0xaa, sizeof(secret));
    vly_crypto_system()->wipe(secret, 32);
    assert_true(is_filled(secret, 32, 0));
    assert_int_equal(secret[32], 0xaa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets_are_aligned_zeroed_and_apart),
        cmocka_unit_test(test_freed_secret_is_wiped),
        cmocka_unit_test(test_secrets_are_locked_and_not_dumped),
        cmocka_unit_test(test_no_locked_memory_is_told),
        cmocka_unit_test(test_wipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
