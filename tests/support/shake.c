#include "support/shake.h"

#include <assert.h>
#include <string.h>

static void draw(void *ctx, void *buf, size_t len)
{
    vly_prng_fill(ctx, buf, len);
}

void shake_init(struct shake *s, enum vly_method method, uint64_t seed)
{
    static const char code[] = "7-crossword";

    memset(s, 0, sizeof(*s));
    vly_prng_init(&s->prng, seed);
    vly_crypto_with_random(&s->crypto, draw, &s->prng);
    for (int end = 0; end < 2; end++) {
        struct vly_credentials *c = &s->credentials[end];

        c->method = method;
        draw(&s->prng, c->secret, sizeof(c->secret));
        memset(c->psk, 0x77, sizeof(c->psk));
        memcpy(c->code, code, sizeof(code) - 1);
        c->code_len = sizeof(code) - 1;
        s->prologue_len[end] = 31;
        memset(s->prologue[end], 'p', s->prologue_len[end]);
    }
}

void shake_start(struct shake *s)
{
    for (int end = 0; end < 2; end++) {
        struct vly_span prologue = {s->prologue[end], s->prologue_len[end]};
        int err = vly_handshake_new(&s->end[end], &s->crypto, (enum vly_handshake_end)end,
                                    &s->credentials[end], prologue);

        assert(err == 0);
    }
}

void shake_fini(struct shake *s)
{
    vly_handshake_free(s->end[0]);
    vly_handshake_free(s->end[1]);
}

unsigned shake_messages(enum vly_method method)
{
    return method == VLY_METHOD_PSK ? 2 : 3;
}

enum vly_handshake_end shake_writer(unsigned nth)
{
    return nth % 2 == 0 ? VLY_HANDSHAKE_CLIENT : VLY_HANDSHAKE_SERVER;
}

struct vly_span shake_payload(enum vly_method method, unsigned nth)
{
    static const uint8_t payloads[3][8] = {"payload", "of mine", "& yours"};
    bool none = nth == 0 && method != VLY_METHOD_PSK;

    return (struct vly_span){payloads[nth], none ? 0 : sizeof(payloads[nth])};
}

int shake_write(struct shake *s, unsigned nth, struct shake_message *out)
{
    enum vly_handshake_end from = shake_writer(nth);
    struct vly_wr w = vly_wr_init(out->data, sizeof(out->data));
    int err =
        vly_handshake_write(s->end[from], shake_payload(s->credentials[from].method, nth), &w);

    out->len = vly_wr_len(&w);
    assert((err == 0) == (out->len > 0));
    return err;
}

int shake_read(struct shake *s, unsigned nth, struct vly_span message)
{
    enum vly_handshake_end to = 1 - shake_writer(nth);
    struct vly_span want = shake_payload(s->credentials[to].method, nth);
    uint8_t payload[VLY_HANDSHAKE_MAX];
    size_t len;
    int err = vly_handshake_read(s->end[to], message, payload, &len);

    assert(err != 0 || (len == want.len && memcmp(payload, want.data, len) == 0));
    return err;
}

int shake_step(struct shake *s, unsigned nth)
{
    struct shake_message m;
    int err = shake_write(s, nth, &m);

    return err != 0 ? err : shake_read(s, nth, (struct vly_span){m.data, m.len});
}

int shake_finish(struct shake *s, unsigned nth)
{
    uint8_t secrets[2][2][32];
    int err = 0;

    for (; err == 0 && nth < shake_messages(s->credentials[0].method); nth++)
        err = shake_step(s, nth);
    if (err != 0)
        return err;
    for (int end = 0; end < 2; end++) {
        assert(vly_handshake_is_done(s->end[end]));
        vly_handshake_secrets(s->end[end], secrets[end][0], secrets[end][1]);
    }
    assert(memcmp(secrets[0][0], secrets[0][1], 32) != 0);
    return memcmp(secrets[0], secrets[1], sizeof(secrets[0])) == 0 ? 0 : VLY_E_FAILED;
}
