/*
 * engine - see engine.h.
 */
#include "bench/micro/engine.h"

#include "bench/micro/pair.h"
#include "crypto/crypto.h"
#include "sim/prng.h"

#include <stdlib.h>
#include <string.h>

#define CONTENT_BYTES 62000 /* in 44 datagrams, or one */
#define HALF_WAY_NS VLY_US(25)
#define WARM_UP_BATCHES 200

struct micro_engine {
    struct micro_pair *pair; /* owned */
    struct vly_prng prng;
    struct vly_suite_ops none;
    uint64_t stream;
    uint64_t packets;
    struct vly_batch data, acks; /* on their way */
};

/* ---- no protection ---- */

static void none_seal(void *keys, struct vly_aead_job *jobs, size_t n)
{
    (void)keys;
    for (struct vly_aead_job *job = jobs; job < jobs + n; job++)
        if (job->out != job->in)
            memcpy(job->out, job->in, job->len);
}

static void none_open(void *keys, struct vly_aead_job *jobs, size_t n)
{
    none_seal(keys, jobs, n);
    for (struct vly_aead_job *job = jobs; job < jobs + n; job++)
        job->ok = true;
}

/* ---- the steps ---- */

void __attribute__((noinline)) micro_engine_write(struct micro_engine *e)
{
    struct vly_conn *conn = e->pair->client.conn;

    for (size_t left = CONTENT_BYTES; left > 0;) {
        size_t len = left;
        uint8_t *room;

        micro_must(vly_conn_reserve(conn, e->stream, &room, &len) == 0);
        micro_must(vly_conn_commit(conn, e->stream, len, false) == 0);
        left -= len;
    }
}

void __attribute__((noinline)) micro_engine_send(struct micro_engine *e)
{
    micro_must(vly_endpoint_send(e->pair->client.ep, &e->data, e->pair->now_ns));
}

void __attribute__((noinline)) micro_engine_receive(struct micro_engine *e)
{
    micro_batch_receive(&e->data, &e->pair->client, &e->pair->server, e->pair->now_ns);
}

void __attribute__((noinline)) micro_engine_acknowledge(struct micro_engine *e)
{
    if (!vly_endpoint_send(e->pair->server.ep, &e->acks, e->pair->now_ns))
        e->acks.len = 0;
}

void __attribute__((noinline)) micro_engine_settle(struct micro_engine *e)
{
    micro_batch_receive(&e->acks, &e->pair->server, &e->pair->client, e->pair->now_ns);
}

static void move_batch(struct micro_engine *e)
{
    uint64_t before = e->pair->server.data_bytes;

    micro_engine_write(e);
    do { /* one batch, but in slow start */
        micro_engine_send(e);
        e->packets += e->data.n;
        e->pair->now_ns += HALF_WAY_NS;
        micro_engine_receive(e);
        micro_engine_acknowledge(e);
        e->pair->now_ns += HALF_WAY_NS;
        micro_engine_settle(e);
    } while (e->pair->server.data_bytes - before < CONTENT_BYTES);
}

void __attribute__((noinline)) micro_engine_run(struct micro_engine *e)
{
    move_batch(e);
}

/* ---- making ---- */

static void draw(void *ctx, void *buf, size_t len)
{
    vly_prng_fill(ctx, buf, len);
}

/* The crypto of both ends. */
static int crypto_for(struct micro_engine *e, struct vly_crypto *out, const char *suite)
{
    vly_crypto_with_random(out, draw, &e->prng);
    if (strcmp(suite, "plain") == 0)
        return 0;
    if (strcmp(suite, "none") != 0)
        return vly_crypto_choose(out, VLY_BACKEND_AUTO, suite);
    e->none = vly_suite_plain;
    e->none.name = "none";
    e->none.seal = none_seal;
    e->none.open = none_open;
    out->plain = &e->none;
    return 0;
}

int micro_engine_new(struct micro_engine **out, const char *suite, uint32_t datagram_bytes)
{
    bool is_sealed = strcmp(suite, "none") != 0 && strcmp(suite, "plain") != 0;
    struct micro_engine *e = calloc(1, sizeof(*e));
    struct vly_crypto crypto;
    int err;

    *out = NULL;
    if (e == NULL)
        return VLY_E_NOMEM;
    vly_prng_init(&e->prng, 1);
    err = crypto_for(e, &crypto, suite);
    if (err == 0)
        err = micro_pair_new(&e->pair, &crypto, is_sealed ? VLY_METHOD_KEYS : VLY_METHOD_NONE,
                             datagram_bytes);
    if (err != 0) {
        micro_engine_free(e);
        return err;
    }
    micro_pair_open(e->pair);
    micro_must(vly_conn_open_stream(e->pair->client.conn, &e->stream) == 0);
    for (unsigned i = 0; i < WARM_UP_BATCHES; i++)
        move_batch(e);
    e->packets = 0;
    *out = e;
    return 0;
}

void micro_engine_free(struct micro_engine *e)
{
    if (e == NULL)
        return;
    micro_pair_free(e->pair);
    free(e);
}

uint64_t micro_engine_packets(const struct micro_engine *e)
{
    return e->packets;
}
