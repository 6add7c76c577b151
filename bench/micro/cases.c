/*
 * cases - what is measured. Text and packets lie in static buffers, warm in the cache as they are
 * behind a read or a receive.
 */
#include "bench/micro/micro.h"

#include "bench/micro/parts.h"

#include <assert.h>
#include <stdlib.h>

#define SEALED_BYTES (MICRO_HEAD_BYTES + MICRO_RECORD_BYTES + VLY_TAG_BYTES)
#define FRAME_BYTES 16 /* before the content of a packet */

static uint8_t text[MICRO_RECORD_BYTES];
static uint8_t sealed[SEALED_BYTES];
static uint8_t opened[MICRO_RECORD_BYTES];
static uint8_t scalar[32];
static uint8_t element[32];
static uint8_t product[32];

struct table {
    struct micro_case *cases;
    size_t n;
    bool failed; /* out of memory */
};

static struct micro_case *add(struct table *t, const char *what, const char *backend,
                              const char *does)
{
    struct micro_case *c = &t->cases[t->n++];

    assert(t->n <= MICRO_CASES_MAX);
    *c = (struct micro_case){.what = what, .backend = backend, .does = does};
    return c;
}

static void run_seal(struct micro_case *c)
{
    c->job.number++;
    c->suite->seal(c->keys, &c->job, 1);
}

/* Always the same packet. */
static void run_open(struct micro_case *c)
{
    c->suite->open(c->keys, &c->job, 1);
    assert(c->job.ok);
}

static void run_x25519(struct micro_case *c)
{
    (void)c;
    if (!vly_crypto_system()->x25519(product, scalar, element))
        abort(); /* the operands are good */
}

static void run_x25519_public(struct micro_case *c)
{
    (void)c;
    vly_crypto_system()->x25519_public(product, scalar);
}

static void run_group_multiply(struct micro_case *c)
{
    (void)c;
    if (!vly_crypto_system()->group_multiply(product, scalar, element))
        abort(); /* the operands are good */
}

static void *new_keys(struct table *t, const struct vly_suite_ops *suite)
{
    static const uint8_t key[VLY_KEY_BYTES] = {1};
    static const uint8_t iv[VLY_IV_BYTES] = {2};
    const struct vly_crypto *crypto = vly_crypto_system();
    void *keys = crypto->secret_new(suite->keys_bytes);

    if (keys != NULL && suite->init(keys, key, iv))
        return keys;
    crypto->secret_free(keys, suite->keys_bytes);
    t->failed = true;
    return NULL;
}

static struct micro_case *add_seal(struct table *t, const struct vly_suite_ops *suite, size_t bytes)
{
    struct micro_case *c = add(t, suite->name, suite->backend, "seal");

    c->run = run_seal;
    c->bytes = bytes;
    c->suite = suite;
    c->job = (struct vly_aead_job){.head = sealed,
                                   .head_bytes = MICRO_HEAD_BYTES,
                                   .in = text,
                                   .len = bytes,
                                   .out = sealed + MICRO_HEAD_BYTES};
    if (suite->keys_bytes > 0)
        c->keys = new_keys(t, suite);
    return c;
}

/* As the engine does it: the frames stand where they go, the content is lent. */
static void run_seal_lent(struct micro_case *c)
{
    c->job.number++;
    c->job.len = FRAME_BYTES; /* sealing may have changed them */
    c->job.more = (struct vly_span){text, c->bytes - FRAME_BYTES};
    c->suite->seal(c->keys, &c->job, 1);
}

static void add_seal_lent(struct table *t, const struct vly_suite_ops *suite, size_t bytes)
{
    struct micro_case *c = add_seal(t, suite, bytes);

    c->does = "seal lent";
    c->run = run_seal_lent;
    c->job.in = c->job.out;
}

/* The same, turned around: it opens what it has sealed. */
static void add_open(struct table *t, const struct vly_suite_ops *suite, size_t bytes)
{
    struct micro_case *c = add_seal(t, suite, bytes);

    c->does = "open";
    c->run = run_open;
    c->packet = calloc(1, MICRO_HEAD_BYTES + bytes + VLY_TAG_BYTES);
    t->failed = t->failed || c->packet == NULL;
    if (t->failed)
        return;
    c->job.head = c->packet;
    c->job.out = c->packet + MICRO_HEAD_BYTES;
    c->suite->seal(c->keys, &c->job, 1);
    c->job.in = c->job.out;
    c->job.out = opened;
}

static void add_suite(struct table *t, const struct vly_suite_ops *suite, size_t bytes)
{
    (void)add_seal(t, suite, bytes);
    if (bytes == MICRO_PACKET_BYTES)
        add_seal_lent(t, suite, bytes);
    add_open(t, suite, bytes);
}

static void add_suites(struct table *t, size_t bytes)
{
    static const enum vly_backend backends[] = {VLY_BACKEND_OPENSSL, VLY_BACKEND_IPSEC_MB};

    add_suite(t, &vly_suite_plain, bytes);
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        struct vly_crypto c = *vly_crypto_system();

        if (vly_crypto_choose(&c, backends[i], "auto,aes-128-gcm") != 0)
            continue; /* not on this machine */
        for (size_t k = 0; k < VLY_SUITES_SEALED_MAX && c.sealed[k] != NULL; k++)
            add_suite(t, c.sealed[k], bytes);
    }
}

static void add_curves(struct table *t)
{
    uint8_t hash[64] = {3};

    scalar[0] = 8;
    vly_crypto_system()->group_map(element, hash);
    add(t, "x25519", "libsodium", "multiply")->run = run_x25519;
    add(t, "x25519", "libsodium", "public key")->run = run_x25519_public;
    add(t, "ristretto255", "libsodium", "multiply")->run = run_group_multiply;
}

/* ---- handshakes ---- */

static void run_pair(struct micro_case *c)
{
    micro_pair_shake(c->pair);
}

static void run_loopback(struct micro_case *c)
{
    micro_loopback_shake(c->loopback);
}

static void add_pair(struct table *t, const char *method_name, enum vly_method method)
{
    struct micro_case *c = add(t, "handshake", method_name, "in memory");

    c->run = run_pair;
    t->failed =
        micro_pair_new(&c->pair, vly_crypto_system(), method, MICRO_SMALL_BYTES) != 0 || t->failed;
}

static void add_loopback(struct table *t, const char *does, enum vly_carrier carrier)
{
    struct micro_case *c = add(t, "handshake", "keys", does);

    c->run = run_loopback;
    t->failed = micro_loopback_new(&c->loopback, carrier) != 0 || t->failed;
}

static void add_handshakes(struct table *t)
{
    add_pair(t, "plain", VLY_METHOD_NONE);
    add_pair(t, "psk", VLY_METHOD_PSK);
    add_pair(t, "keys", VLY_METHOD_KEYS);
    add_loopback(t, "UDP", VLY_CARRIER_UDP);
    add_loopback(t, "TCP", VLY_CARRIER_TCP);
}

/* ---- the engine ---- */

static void run_engine(struct micro_case *c)
{
    micro_engine_run(c->engine);
}

/* Both ends together, a packet. */
static void add_engine(struct table *t, const char *suite, uint32_t datagram_bytes)
{
    struct micro_case *c = add(t, "engine", suite, "both ends");
    uint64_t before;

    c->run = run_engine;
    c->bytes = datagram_bytes;
    if (micro_engine_new(&c->engine, suite, datagram_bytes) != 0) {
        t->failed = true;
        return;
    }
    before = micro_engine_packets(c->engine);
    micro_engine_run(c->engine);
    c->n = (unsigned)(micro_engine_packets(c->engine) - before);
}

static void add_engines(struct table *t, uint32_t datagram_bytes)
{
    add_engine(t, "none", datagram_bytes);
    add_engine(t, "plain", datagram_bytes);
    add_engine(t, "aes-256-gcm", datagram_bytes);
    add_engine(t, "aes-128-gcm", datagram_bytes);
}

static void run_part(struct micro_case *c)
{
    c->part();
}

static void add_engine_and_parts(struct table *t)
{
    add_engines(t, MICRO_SMALL_BYTES);
    add_engines(t, MICRO_LARGE_BYTES);
    for (size_t i = 0; i < micro_parts_n; i++) {
        struct micro_case *c = add(t, micro_parts[i].what, "proto", micro_parts[i].does);

        c->run = run_part;
        c->part = micro_parts[i].run;
        c->n = MICRO_PARTS_AT_ONCE;
    }
}

int micro_cases_make(struct micro_case cases[MICRO_CASES_MAX], size_t rounds)
{
    struct table t = {.cases = cases};

    add_suites(&t, MICRO_PACKET_BYTES);
    add_suites(&t, MICRO_RECORD_BYTES);
    add_curves(&t);
    add_handshakes(&t);
    add_engine_and_parts(&t);
    for (size_t i = 0; i < t.n; i++) {
        cases[i].slice_ns = calloc(rounds, sizeof(double));
        t.failed = t.failed || cases[i].slice_ns == NULL;
    }
    if (!t.failed)
        return (int)t.n;
    micro_cases_free(cases, t.n);
    return VLY_E_NOMEM;
}

void micro_cases_free(struct micro_case *cases, size_t n)
{
    for (struct micro_case *c = cases; c < cases + n; c++) {
        if (c->keys != NULL) {
            c->suite->fini(c->keys);
            vly_crypto_system()->secret_free(c->keys, c->suite->keys_bytes);
        }
        free(c->packet);
        micro_pair_free(c->pair);
        micro_loopback_free(c->loopback);
        micro_engine_free(c->engine);
        free(c->slice_ns);
    }
}
