/*
 * tcp_seal - see tcp_seal.h. RULE 10: a number under one key is used once, since it only rises.
 */
#include "net/tcp_seal.h"

#include "proto/wire.h"

#include <stdlib.h>

#define BATCH 8u /* blocks sealed in one call */

int vly_tcp_seal_init(struct vly_tcp_seal *s, const struct vly_tcp_seal_start *start)
{
    struct vly_keys_start keys = {.crypto = start->crypto,
                                  .suite = start->suite,
                                  .secret = start->send_secret,
                                  .update_pkts = start->generation_blocks,
                                  .keylog = start->keylog};
    int err;

    *s = (struct vly_tcp_seal){.generation_blocks = start->generation_blocks};
    if (s->generation_blocks == 0)
        s->generation_blocks = VLY_KEY_UPDATE_PKTS;
    err = vly_send_keys_new(&s->send, &keys);
    keys.secret = start->recv_secret;
    if (err == 0)
        err = vly_recv_keys_new(&s->recv, &keys);
    if (err != 0)
        vly_tcp_seal_fini(s);
    return err;
}

void vly_tcp_seal_fini(struct vly_tcp_seal *s)
{
    vly_send_keys_free(s->send);
    vly_recv_keys_free(s->recv);
    free(s->kept); /* it held content, no keys */
    *s = (struct vly_tcp_seal){0};
}

/* ---- out ---- */

/* The keys for the next block. TCP delivers what was sent: each block counts as acknowledged, so
 * that it is the count alone that changes the generation (RULE 12). */
static int next_block(struct vly_tcp_seal *s)
{
    bool phase;
    int err = vly_send_keys_for(s->send, s->sealed_blocks, &phase);

    if (err != 0)
        return err;
    vly_send_keys_on_ack(s->send, s->sealed_blocks);
    s->sealed_blocks++;
    return 0;
}

static struct vly_aead_job block_at(uint8_t *wire, struct vly_span text, uint64_t number)
{
    vly_store_u32(wire, (uint32_t)text.len);
    return (struct vly_aead_job){.number = number,
                                 .head = wire,
                                 .head_bytes = VLY_TCP_BLOCK_HEAD_BYTES,
                                 .in = text.data,
                                 .len = text.len,
                                 .out = wire + VLY_TCP_BLOCK_HEAD_BYTES};
}

int vly_tcp_seal_text(struct vly_tcp_seal *s, struct vly_span text, uint8_t *wire)
{
    struct vly_aead_job jobs[BATCH];
    size_t n = 0;
    int err = 0;

    while (text.len > 0 && err == 0) {
        struct vly_span piece = text;

        if (piece.len > VLY_TCP_BLOCK_TEXT_MAX)
            piece.len = VLY_TCP_BLOCK_TEXT_MAX;
        /* What is of one generation is sealed before the next one's keys come. */
        if (n == BATCH || (n > 0 && s->sealed_blocks % s->generation_blocks == 0)) {
            vly_send_keys_seal(s->send, jobs, n);
            n = 0;
        }
        jobs[n++] = block_at(wire, piece, s->sealed_blocks);
        err = next_block(s);
        wire += piece.len + VLY_TCP_BLOCK_EXTRA_BYTES;
        text.data += piece.len;
        text.len -= piece.len;
    }
    if (err == 0 && n > 0)
        vly_send_keys_seal(s->send, jobs, n);
    return err;
}

/* ---- in ---- */

/* Bytes of the whole block that begins with `head`; 0: there is no such length. */
static size_t block_bytes(const uint8_t head[VLY_TCP_BLOCK_HEAD_BYTES])
{
    uint32_t len = vly_load_u32(head);

    return len == 0 || len > VLY_TCP_BLOCK_TEXT_MAX ? 0 : len + VLY_TCP_BLOCK_EXTRA_BYTES;
}

static int open_block(struct vly_tcp_seal *s, uint8_t *block, size_t whole, struct vly_span *text)
{
    uint8_t *inside = block + VLY_TCP_BLOCK_HEAD_BYTES;
    struct vly_aead_job job = {.number = s->opened_blocks,
                               .head = block,
                               .head_bytes = VLY_TCP_BLOCK_HEAD_BYTES,
                               .in = inside,
                               .len = whole - VLY_TCP_BLOCK_EXTRA_BYTES,
                               .out = inside};
    bool phase = (s->opened_blocks / s->generation_blocks) % 2 == 1;
    int err = vly_recv_keys_open(s->recv, &job, phase, 0, 0);

    if (err != 0)
        return err == VLY_E_NOMEM ? err : VLY_E_AUTH;
    vly_recv_keys_on_ack_sent(s->recv, s->opened_blocks);
    s->opened_blocks++;
    *text = (struct vly_span){.data = inside, .len = job.len};
    return 0;
}

/* Keeps bytes until there are `wanted`. Returns whether there are. */
static bool gather(struct vly_tcp_seal *s, struct vly_tcp_bytes *in, size_t wanted)
{
    size_t len;

    if (s->kept_len >= wanted)
        return true;
    len = wanted - s->kept_len;
    if (len > in->len)
        len = in->len;
    memcpy(s->kept + s->kept_len, in->data, len);
    s->kept_len += len;
    in->data += len;
    in->len -= len;
    return s->kept_len == wanted;
}

/* A block in pieces. */
static int open_kept(struct vly_tcp_seal *s, struct vly_tcp_bytes *in, struct vly_span *text)
{
    size_t whole;

    if (s->kept == NULL) {
        s->kept_len = 0;
        if ((s->kept = malloc(VLY_TCP_BLOCK_MAX)) == NULL)
            return VLY_E_NOMEM;
    }
    if (!gather(s, in, VLY_TCP_BLOCK_HEAD_BYTES))
        return 0;
    if ((whole = block_bytes(s->kept)) == 0)
        return VLY_E_MALFORMED;
    if (!gather(s, in, whole))
        return 0;
    s->kept_len = 0;
    return open_block(s, s->kept, whole, text);
}

int vly_tcp_seal_open(struct vly_tcp_seal *s, struct vly_tcp_bytes *in, struct vly_span *text)
{
    uint8_t *block = in->data;
    size_t whole;

    *text = (struct vly_span){0};
    if (in->len == 0)
        return 0;
    if (s->kept_len > 0 || in->len < VLY_TCP_BLOCK_HEAD_BYTES)
        return open_kept(s, in, text);
    if ((whole = block_bytes(block)) == 0)
        return VLY_E_MALFORMED;
    if (in->len < whole)
        return open_kept(s, in, text);
    in->data += whole;
    in->len -= whole;
    return open_block(s, block, whole, text);
}
