#include "handshake.h"

#include <assert.h>
#include <string.h>

#include "cookie.h"
#include "hkdf.h"

#define MESSAGES_MAX 3
#define SESSION_BYTES 16

/* What a message is made of, in this order. */
enum part {
    PART_SESSION = 1 << 0, /* CPace: 16 random bytes, the client's choice */
    PART_SHARE = 1 << 1,   /* CPace: Ya or Yb */
    PART_NOISE = 1 << 2,   /* the next Noise message, to the end */
    PART_PAYLOAD = 1 << 3, /* with something in it */
};

#define CLIENT VLY_HANDSHAKE_CLIENT
#define SERVER VLY_HANDSHAKE_SERVER
#define NOISE_PAYLOAD (PART_NOISE | PART_PAYLOAD)

/* The table of SPEC 3.1: who writes the n-th message, and what stands in it. */
static const struct method {
    enum vly_noise_pattern pattern;
    enum vly_handshake_end initiator; /* of the Noise handshake */
    uint8_t n_messages;
    struct message {
        enum vly_handshake_end from;
        uint8_t parts;
    } messages[MESSAGES_MAX];
} methods[] = {
    [VLY_METHOD_KEYS] = {VLY_NOISE_XX,
                         CLIENT,
                         3,
                         {{CLIENT, PART_NOISE}, {SERVER, NOISE_PAYLOAD}, {CLIENT, NOISE_PAYLOAD}}},
    [VLY_METHOD_PSK] = {VLY_NOISE_NNPSK0,
                        CLIENT,
                        2,
                        {{CLIENT, NOISE_PAYLOAD}, {SERVER, NOISE_PAYLOAD}}},
    [VLY_METHOD_CODE] = {VLY_NOISE_NNPSK0,
                         SERVER,
                         3,
                         {{CLIENT, PART_SESSION | PART_SHARE},
                          {SERVER, PART_SHARE | NOISE_PAYLOAD},
                          {CLIENT, NOISE_PAYLOAD}}},
};

struct vly_handshake {
    const struct vly_crypto *crypto;
    enum vly_method method;
    enum vly_handshake_end end;
    uint8_t next; /* index of the next message */
    struct vly_noise noise;
    /* CODE, until there is a pre-shared key: */
    struct vly_cpace cpace;
    uint8_t session[SESSION_BYTES];
    uint8_t code[VLY_CODE_MAX];
    uint8_t prologue[VLY_HANDSHAKE_PROLOGUE_MAX];
    size_t code_len, prologue_len;
};

static void start_noise(struct vly_handshake *h, const uint8_t *secret, const uint8_t *psk)
{
    const struct method *m = &methods[h->method];
    struct vly_noise_start start = {
        .pattern = m->pattern,
        .initiator = m->initiator == h->end,
        .prologue = {h->prologue, h->prologue_len},
        .secret = secret,
        .psk = psk,
    };

    vly_noise_init(&h->noise, h->crypto, &start);
}

int vly_handshake_new(struct vly_handshake **out, const struct vly_crypto *crypto,
                      enum vly_handshake_end end, const struct vly_credentials *credentials,
                      struct vly_span prologue)
{
    struct vly_handshake *h = crypto->secret_new(sizeof(*h));

    *out = h;
    if (h == NULL)
        return VLY_E_NOMEM;
    assert(prologue.len <= sizeof(h->prologue));
    h->crypto = crypto;
    h->method = credentials->method;
    h->end = end;
    h->prologue_len = prologue.len;
    memcpy(h->prologue, prologue.data, prologue.len);
    switch (h->method) {
    case VLY_METHOD_NONE:
        assert(h->method != VLY_METHOD_NONE);
        break;
    case VLY_METHOD_KEYS:
        start_noise(h, credentials->secret, NULL);
        break;
    case VLY_METHOD_PSK:
        start_noise(h, NULL, credentials->psk);
        break;
    case VLY_METHOD_CODE:
        h->code_len = credentials->code_len;
        assert(h->code_len <= sizeof(h->code));
        memcpy(h->code, credentials->code, h->code_len);
        break;
    }
    return 0;
}

int vly_handshake_clone(struct vly_handshake **out, const struct vly_handshake *h)
{
    *out = h->crypto->secret_new(sizeof(**out));
    if (*out == NULL)
        return VLY_E_NOMEM;
    **out = *h;
    return 0;
}

void vly_handshake_free(struct vly_handshake *h)
{
    if (h != NULL)
        h->crypto->secret_free(h, sizeof(*h));
}

/* The message that is next; NULL when there is none. */
static const struct message *next_message(const struct vly_handshake *h)
{
    return vly_handshake_is_done(h) ? NULL : &methods[h->method].messages[h->next];
}

bool vly_handshake_is_our_turn(const struct vly_handshake *h)
{
    const struct message *m = next_message(h);

    return m != NULL && m->from == h->end;
}

bool vly_handshake_has_payload(const struct vly_handshake *h)
{
    const struct message *m = next_message(h);

    return m != NULL && (m->parts & PART_PAYLOAD) != 0;
}

bool vly_handshake_is_done(const struct vly_handshake *h)
{
    return h->next == methods[h->method].n_messages;
}

/* Both ends know the session: from here on each has its share. */
static void start_cpace(struct vly_handshake *h)
{
    struct vly_cpace_start start = {
        .code = {h->code, h->code_len},
        .channel = {h->prologue, h->prologue_len},
        .session = {h->session, sizeof(h->session)},
    };

    vly_cpace_init(&h->cpace, h->crypto, &start);
}

/* Both shares are known: the key that the Noise handshake starts from. */
static int finish_cpace(struct vly_handshake *h, const uint8_t share[VLY_CPACE_SHARE_BYTES])
{
    static const char label[] = "volley1 code";
    const bool is_client = h->end == VLY_HANDSHAKE_CLIENT;
    struct vly_span session = {h->session, sizeof(h->session)};
    uint8_t isk[VLY_CPACE_KEY_BYTES], prk[32], psk[VLY_KEY_BYTES];
    uint8_t info[sizeof(label) - 1 + SESSION_BYTES + 2 * VLY_CPACE_SHARE_BYTES];
    struct vly_wr w = vly_wr_init(info, sizeof(info));
    int err = vly_cpace_key(&h->cpace, session, is_client, share, isk);

    if (err != 0)
        return err;
    vly_wr_bytes(&w, label, sizeof(label) - 1);
    vly_wr_bytes(&w, session.data, session.len);
    vly_wr_bytes(&w, is_client ? h->cpace.share : share, VLY_CPACE_SHARE_BYTES);
    vly_wr_bytes(&w, is_client ? share : h->cpace.share, VLY_CPACE_SHARE_BYTES);
    vly_hkdf_extract(h->crypto, (struct vly_span){NULL, 0}, (struct vly_span){isk, sizeof(isk)},
                     prk);
    vly_hkdf_expand(h->crypto, prk, (struct vly_span){info, vly_wr_len(&w)}, psk, sizeof(psk));
    start_noise(h, NULL, psk);
    h->crypto->wipe(isk, sizeof(isk));
    h->crypto->wipe(prk, sizeof(prk));
    h->crypto->wipe(psk, sizeof(psk));
    return 0;
}

static int write_parts(struct vly_handshake *h, uint8_t parts, struct vly_span payload,
                       struct vly_wr *w)
{
    if (parts & PART_SESSION) {
        h->crypto->random(h->crypto->random_ctx, h->session, sizeof(h->session));
        start_cpace(h);
        vly_wr_bytes(w, h->session, sizeof(h->session));
    }
    if (parts & PART_SHARE)
        vly_wr_bytes(w, h->cpace.share, sizeof(h->cpace.share));
    if (parts & PART_NOISE)
        return vly_noise_write(&h->noise, payload, w);
    return w->failed ? VLY_E_LIMIT : 0;
}

int vly_handshake_write(struct vly_handshake *h, struct vly_span payload, struct vly_wr *w)
{
    struct vly_handshake before;
    struct vly_wr start = *w;
    int err;

    if (!vly_handshake_is_our_turn(h))
        return VLY_E_STATE;
    assert(payload.len == 0 || vly_handshake_has_payload(h));
    if (payload.len > VLY_HANDSHAKE_PAYLOAD_MAX)
        return VLY_E_LIMIT;
    before = *h;
    err = write_parts(h, next_message(h)->parts, payload, w);
    if (err == 0) {
        h->next++;
    } else {
        *h = before;
        *w = start;
    }
    h->crypto->wipe(&before, sizeof(before));
    return err;
}

static int read_parts(struct vly_handshake *h, uint8_t parts, struct vly_rd *r, uint8_t *payload,
                      size_t *payload_len)
{
    const uint8_t *p;
    int err;

    if (parts & PART_SESSION) {
        p = vly_rd_take(r, sizeof(h->session));
        if (p == NULL)
            return VLY_E_MALFORMED;
        memcpy(h->session, p, sizeof(h->session));
        start_cpace(h);
    }
    if (parts & PART_SHARE) {
        p = vly_rd_take(r, VLY_CPACE_SHARE_BYTES);
        if (p == NULL)
            return VLY_E_MALFORMED;
        err = finish_cpace(h, p);
        if (err != 0)
            return err;
    }
    *payload_len = 0;
    if (parts & PART_NOISE) {
        err = vly_noise_read(&h->noise, vly_rd_bytes(r, vly_rd_left(r)), payload, payload_len);
        if (err != 0)
            return err;
    }
    if (vly_rd_left(r) > 0)
        return VLY_E_MALFORMED;
    return *payload_len == 0 || parts & PART_PAYLOAD ? 0 : VLY_E_MALFORMED;
}

int vly_handshake_read(struct vly_handshake *h, struct vly_span message, uint8_t *payload,
                       size_t *payload_len)
{
    struct vly_rd r = vly_rd_init(message.data, message.len);
    struct vly_handshake before;
    int err;

    if (vly_handshake_is_done(h) || vly_handshake_is_our_turn(h))
        return VLY_E_STATE;
    before = *h;
    err = read_parts(h, next_message(h)->parts, &r, payload, payload_len);
    if (err == 0)
        h->next++;
    else
        *h = before;
    h->crypto->wipe(&before, sizeof(before));
    return err;
}

void vly_handshake_secrets(const struct vly_handshake *h, uint8_t client[32], uint8_t server[32])
{
    if (methods[h->method].initiator == VLY_HANDSHAKE_CLIENT)
        vly_noise_split(&h->noise, client, server);
    else
        vly_noise_split(&h->noise, server, client);
}

const uint8_t *vly_handshake_peer_key(const struct vly_handshake *h)
{
    uint8_t read_at = h->end == VLY_HANDSHAKE_CLIENT ? 2 : 3;

    return h->method == VLY_METHOD_KEYS && h->next >= read_at ? h->noise.rs : NULL;
}

int vly_credentials_check(const struct vly_credentials *c, const uint8_t key[VLY_KEY_BYTES])
{
    if (c->has_pin)
        return vly_equal_secret(c->pin, key, VLY_KEY_BYTES) ? 0 : VLY_E_HOST_CHANGED;
    return c->accept_new ? 0 : VLY_E_HOST_UNKNOWN;
}
