#include "support/direction.h"

#include "support/secrets.h"
#include "support/suites.h"
#include "support/support.h"

#include <string.h>

static void on_key(void *ctx, uint64_t cid, const struct vly_suite_ops *suite, uint64_t generation,
                   const uint8_t key[VLY_KEY_BYTES], const uint8_t iv[VLY_IV_BYTES])
{
    struct direction_log *log = ctx;
    struct direction_key *t = &log->told[log->n++ % ARRAY_LEN(log->told)];

    t->generation = generation;
    t->cid = cid;
    t->suite = suite->id;
    memcpy(t->key, key, VLY_KEY_BYTES);
    memcpy(t->iv, iv, VLY_IV_BYTES);
}

static const uint8_t secret[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                   16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

const struct vly_suite_ops *direction_suite(uint8_t id)
{
    return id == VLY_SUITE_PLAIN ? vly_crypto_system()->plain : test_suite(VLY_BACKEND_AUTO, id);
}

void direction_init(struct direction *d, uint8_t suite)
{
    memset(d, 0, sizeof(*d));
    d->crypto = *vly_crypto_system();
    test_secrets_count(&d->crypto, 0);
    d->start = (struct vly_keys_start){
        .crypto = &d->crypto,
        .suite = direction_suite(suite),
        .secret = suite == VLY_SUITE_PLAIN ? NULL : secret,
        .update_pkts = DIRECTION_UPDATE_PKTS,
        .cid = 0xc1d,
    };
}

void direction_open(struct direction *d)
{
    struct vly_keys_start start = d->start;

    start.keylog = (struct vly_keylog){on_key, &d->sent_log};
    assert_int_equal(vly_send_keys_new(&d->send, &start), 0);
    start.keylog.ctx = &d->recv_log;
    assert_int_equal(vly_recv_keys_new(&d->recv, &start), 0);
}

void direction_start(struct direction *d)
{
    direction_init(d, VLY_SUITE_AES_256_GCM);
    direction_open(d);
}

void direction_fini(struct direction *d)
{
    vly_send_keys_free(d->send);
    vly_recv_keys_free(d->recv);
    assert_int_equal(test_secrets.live, 0);
}

int direction_make(struct direction *d, uint64_t pn, struct direction_packet *p)
{
    struct vly_aead_job job = {.number = pn,
                               .head = p->head,
                               .head_bytes = sizeof(p->head),
                               .in = p->sealed,
                               .len = 8,
                               .out = p->sealed};
    int err = vly_send_keys_for(d->send, pn, &p->phase);

    p->pn = pn;
    memset(p->head, 0x40 + p->phase, sizeof(p->head));
    memset(p->sealed, (uint8_t)pn, 8);
    if (err == 0)
        vly_send_keys_seal(d->send, &job, 1);
    return err;
}

int direction_read(struct direction *d, const struct direction_packet *p)
{
    uint8_t text[8], want[8];
    struct vly_aead_job job = {.number = p->pn,
                               .head = p->head,
                               .head_bytes = sizeof(p->head),
                               .in = p->sealed,
                               .len = 8,
                               .out = text};
    int err = vly_recv_keys_open(d->recv, &job, p->phase, d->now_ns, DIRECTION_KEEP_OLD_NS);

    memset(want, (uint8_t)p->pn, sizeof(want));
    if (err == 0)
        assert_memory_equal(text, want, sizeof(want));
    return err;
}

void direction_pass(struct direction *d, uint64_t pn, bool ack)
{
    struct direction_packet p;

    assert_int_equal(direction_make(d, pn, &p), 0);
    assert_int_equal(direction_read(d, &p), 0);
    if (ack) {
        vly_recv_keys_on_ack_sent(d->recv, pn);
        vly_send_keys_on_ack(d->send, pn);
    }
}
