/*
 * cpace - see the draft's sections on generator_string, calculate_generator and ISK.
 *
 * Strings go into hashes behind their length (prepend_len), which is a LEB128 number.
 */
#include "cpace.h"

#include <assert.h>
#include <string.h>

#define HASH_BLOCK_BYTES 128u /* of SHA-512 */
#define LV_MAX 7u             /* strings in a hash */

static const uint8_t dsi[] = "CPaceRistretto255";
static const uint8_t dsi_isk[] = "CPaceRistretto255_ISK";

/* lv_cat: what a hash is made of. */
struct lv {
    struct vly_span parts[2 * LV_MAX];
    uint8_t lengths[LV_MAX][2];
    size_t n;
};

static struct vly_span text(const uint8_t *string, size_t size)
{
    return (struct vly_span){string, size - 1};
}

static void lv_add(struct lv *lv, struct vly_span s)
{
    uint8_t *length = lv->lengths[lv->n];

    assert(lv->n < LV_MAX && s.len < 1u << 14);
    length[0] = (uint8_t)(s.len < 0x80 ? s.len : s.len % 0x80 + 0x80);
    length[1] = (uint8_t)(s.len / 0x80);
    lv->parts[2 * lv->n] = (struct vly_span){length, s.len < 0x80 ? 1 : 2};
    lv->parts[2 * lv->n + 1] = s;
    lv->n++;
}

static void lv_hash(const struct lv *lv, const struct vly_crypto *crypto, uint8_t out[64])
{
    crypto->sha512(lv->parts, 2 * lv->n, out);
}

/* So many zero bytes that DSI, PRS and they fill the first block of the hash. */
static struct vly_span padding_behind(const struct lv *lv)
{
    static const uint8_t zeros[HASH_BLOCK_BYTES];
    size_t used = 1; /* the length of the padding itself */

    for (size_t i = 0; i < 2 * lv->n; i++)
        used += lv->parts[i].len;
    return (struct vly_span){zeros, used < sizeof(zeros) ? sizeof(zeros) - used : 0};
}

void vly_cpace_generator(const struct vly_crypto *crypto, const struct vly_cpace_start *start,
                         uint8_t out[32])
{
    struct lv lv = {.n = 0};
    uint8_t hash[64];

    lv_add(&lv, text(dsi, sizeof(dsi)));
    lv_add(&lv, start->code);
    lv_add(&lv, padding_behind(&lv));
    lv_add(&lv, start->channel);
    lv_add(&lv, start->session);
    lv_hash(&lv, crypto, hash);
    crypto->group_map(out, hash);
    crypto->wipe(hash, sizeof(hash));
}

static void draw_scalar(const struct vly_crypto *crypto, uint8_t scalar[32])
{
    uint8_t uniform[64];

    crypto->random(crypto->random_ctx, uniform, sizeof(uniform));
    crypto->group_scalar(scalar, uniform);
    crypto->wipe(uniform, sizeof(uniform));
}

void vly_cpace_init(struct vly_cpace *c, const struct vly_crypto *crypto,
                    const struct vly_cpace_start *start)
{
    uint8_t generator[32];
    bool is_element;

    c->crypto = crypto;
    if (start->scalar != NULL)
        memcpy(c->scalar, start->scalar, sizeof(c->scalar));
    else
        draw_scalar(crypto, c->scalar);
    vly_cpace_generator(crypto, start, generator);
    is_element = crypto->group_multiply(c->share, c->scalar, generator);
    assert(is_element); /* else the scalar is zero: there is no randomness */
    crypto->wipe(generator, sizeof(generator));
}

void vly_cpace_isk(const struct vly_crypto *crypto, const struct vly_cpace_run *run,
                   uint8_t isk[VLY_CPACE_KEY_BYTES])
{
    struct lv lv = {.n = 0};

    lv_add(&lv, text(dsi_isk, sizeof(dsi_isk)));
    lv_add(&lv, run->session);
    lv_add(&lv, (struct vly_span){run->point, VLY_CPACE_SHARE_BYTES});
    for (size_t i = 0; i < 2; i++) {
        lv_add(&lv, (struct vly_span){run->share[i], VLY_CPACE_SHARE_BYTES});
        lv_add(&lv, run->data[i]);
    }
    lv_hash(&lv, crypto, isk);
}

int vly_cpace_key(const struct vly_cpace *c, struct vly_span session, bool initiator,
                  const uint8_t share[VLY_CPACE_SHARE_BYTES], uint8_t isk[VLY_CPACE_KEY_BYTES])
{
    uint8_t point[32];
    struct vly_cpace_run run = {
        .session = session,
        .point = point,
        .share = {initiator ? c->share : share, initiator ? share : c->share},
    };

    if (!c->crypto->group_multiply(point, c->scalar, share))
        return VLY_E_AUTH;
    vly_cpace_isk(c->crypto, &run, isk);
    c->crypto->wipe(point, sizeof(point));
    return 0;
}
