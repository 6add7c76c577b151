#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stands before every block, so that a wrong `old_size` is seen. */
struct block {
    _Alignas(max_align_t) size_t size;
};

static void *resize_checked(void *ptr, size_t old_size, size_t size)
{
    struct block *b = ptr != NULL ? (struct block *)ptr - 1 : NULL;
    struct block *fresh;

    assert_int_equal(old_size, b != NULL ? b->size : 0);
    if (size == 0) {
        free(b);
        return NULL;
    }
    /* Always moves, so that a pointer kept across a resize is found out. */
    fresh = malloc(sizeof(*fresh) + size);
    assert_non_null(fresh);
    fresh->size = size;
    if (b != NULL)
        memcpy(fresh + 1, b + 1, old_size < size ? old_size : size);
    free(b);
    return fresh + 1;
}

static void *test_resize(void *ctx, void *ptr, size_t old_size, size_t size)
{
    (void)ctx;
    return resize_checked(ptr, old_size, size);
}

const struct vly_alloc test_alloc = {.resize = test_resize};

static void *counting_resize(void *ctx, void *ptr, size_t old_size, size_t size)
{
    struct test_counting_alloc *a = ctx;

    if (size > 0 && ++a->requests == a->fail_at)
        return NULL;
    a->live_blocks += (size_t)(size > 0) - (size_t)(ptr != NULL);
    a->live_bytes += size - old_size;
    return resize_checked(ptr, old_size, size);
}

void test_counting_alloc_init(struct test_counting_alloc *a, uint64_t fail_at)
{
    *a = (struct test_counting_alloc){.fail_at = fail_at};
    a->alloc = (struct vly_alloc){.resize = counting_resize, .ctx = a};
}

uint64_t test_seed(void)
{
    const char *given = getenv("VLY_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : 1;

    print_message("VLY_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

uint64_t test_random_varint(struct vly_prng *p)
{
    uint64_t bits = vly_prng_below(p, 63);

    return vly_prng_u64(p) & ((UINT64_C(1) << bits) - 1);
}

uint8_t *test_exact_copy(const void *data, size_t len)
{
    uint8_t *copy = malloc(len);

    assert_true(copy != NULL || len == 0);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

static unsigned hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    if (at == NULL)
        fail_msg("'%c' is no hex digit", c);
    return (unsigned)(at - digits);
}

/* Reads one byte and how often it stands there; moves `*hex` past both and past blanks. */
static uint8_t hex_byte(const char **hex, size_t *times)
{
    const char *p = *hex;
    unsigned high = hex_digit(p[0]);
    unsigned low = hex_digit(p[1]);

    p += 2;
    *times = 1;
    if (*p == '*') {
        char *end;

        *times = strtoul(p + 1, &end, 10);
        p = end;
    }
    *hex = p + strspn(p, " \n");
    return (uint8_t)(high << 4 | low);
}

struct test_bytes test_hex(const char *hex)
{
    struct test_bytes b = {NULL, 0};
    const char *p;
    size_t times;

    hex += strspn(hex, " \n");
    for (p = hex; *p != '\0'; b.len += times)
        hex_byte(&p, &times);
    b.data = malloc(b.len);
    assert_true(b.data != NULL || b.len == 0);
    b.len = 0;
    for (p = hex; *p != '\0'; b.len += times) {
        uint8_t byte = hex_byte(&p, &times);

        if (times > 0)
            memset(b.data + b.len, byte, times);
    }
    return b;
}

static void print_hex(const char *what, const uint8_t *data, size_t len)
{
    print_error("%s (%zu bytes):", what, len);
    for (size_t i = 0; i < len; i++)
        print_error(" %02x", data[i]);
    print_error("\n");
}

void test_assert_hex(const void *data, size_t len, const char *hex)
{
    struct test_bytes want = test_hex(hex);
    bool same = want.len == len && (len == 0 || memcmp(want.data, data, len) == 0);

    if (!same) {
        print_hex("is", data, len);
        print_hex("should be", want.data, want.len);
    }
    free(want.data);
    assert_true(same);
}

static FILE *open_vectors(const char *file)
{
    const char *root = getenv("VOLLEY_SRC");
    char path[4096];
    FILE *f;

    snprintf(path, sizeof(path), "%s/tests/vectors/%s", root != NULL ? root : ".", file);
    f = fopen(path, "r");
    if (f == NULL)
        fail_msg("cannot read %s", path);
    return f;
}

/* Takes the line "name: hex" apart. */
static void add_vector(struct test_vectors *vectors, char *line)
{
    char *colon = strchr(line, ':');
    struct test_vector *v = realloc(vectors->v, (vectors->n + 1) * sizeof(*v));

    assert_non_null(v);
    assert_non_null(colon);
    *colon = '\0';
    vectors->v = v;
    v += vectors->n++;
    v->name = strdup(line);
    v->bytes = test_hex(colon + 1);
    assert_non_null(v->name);
}

struct test_vectors test_vectors_load(const char *file)
{
    FILE *f = open_vectors(file);
    struct test_vectors vectors = {NULL, 0};
    char line[8192];
    bool described = false;

    while (fgets(line, sizeof(line), f) != NULL) {
        if (line[0] == '#') {
            described = true;
        } else if (line[0] != '\n') {
            assert_true(described); /* a person must be able to tell what it is */
            add_vector(&vectors, line);
            described = false;
        }
    }
    fclose(f);
    return vectors;
}

void test_vectors_free(struct test_vectors *vectors)
{
    for (size_t i = 0; i < vectors->n; i++) {
        free(vectors->v[i].name);
        free(vectors->v[i].bytes.data);
    }
    free(vectors->v);
    *vectors = (struct test_vectors){NULL, 0};
}

struct vly_span test_vectors_find(const struct test_vectors *vectors, const char *name)
{
    for (size_t i = 0; i < vectors->n; i++)
        if (strcmp(vectors->v[i].name, name) == 0)
            return (struct vly_span){vectors->v[i].bytes.data, vectors->v[i].bytes.len};
    fail_msg("no vector %s", name);
    return (struct vly_span){NULL, 0};
}

uint32_t test_crc32c(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (UINT32_C(0x82f63b78) & (0u - (crc & 1)));
    }
    return ~crc;
}
