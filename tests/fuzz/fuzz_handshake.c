/*
 * What a stranger between two ends may do to a handshake: the first byte says the method, the rest
 * what is done to the messages. Whatever it is, an end takes nothing but the true message, except
 * a first one that nothing vouches for, with which it gets no further; and when all of that is over
 * the true messages still lead to the same secrets.
 */
#include "fuzz.h"

#include "proto/wire.h"
#include "support/shake.h"

#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
    if (!condition)
        abort();
}

enum action { DELIVER, CHANGE, RESIZE, RAW, N_ACTIONS };

struct fuzz {
    struct shake s;
    struct vly_rd in;
    unsigned n_messages;
    unsigned nth;               /* the message under way */
    struct shake_message truth; /* it, as its writer made it */
    bool misled;                /* the server took another first message */
};

static void make(struct fuzz *f)
{
    if (f->nth < f->n_messages)
        require(shake_write(&f->s, f->nth, &f->truth) == 0);
}

/* Hands `m` to the end that waits for message `nth`. */
static void deliver(struct fuzz *f, const struct shake_message *m)
{
    struct vly_span span = {m->data, m->len};
    bool is_true = m->len == f->truth.len && memcmp(m->data, f->truth.data, m->len) == 0;
    bool is_unsigned = f->nth == 0 && f->s.credentials[0].method != VLY_METHOD_PSK;
    int err = shake_read(&f->s, f->nth, span);

    require(err != VLY_E_NOMEM);
    if (is_true && !f->misled)
        require(err == 0);
    else
        require(err != 0 || is_unsigned);
    if (err != 0)
        return;
    f->misled = !is_true;
    f->nth++;
    /* What misled the server may keep it from an answer: a key without a shared secret. */
    if (f->misled && shake_write(&f->s, f->nth, &f->truth) != 0)
        f->nth = f->n_messages;
    else if (!f->misled)
        make(f);
}

/* The end that wrote the message under way gets `m` before an answer: it is none. */
static void reflect(struct fuzz *f, const struct shake_message *m)
{
    uint8_t payload[VLY_HANDSHAKE_MAX];
    size_t len;

    require(vly_handshake_read(f->s.end[shake_writer(f->nth)], (struct vly_span){m->data, m->len},
                               payload, &len) != 0);
}

/* Turns bits of one byte over. */
static void change(struct fuzz *f, struct shake_message *m)
{
    uint8_t at = vly_rd_u8(&f->in);

    m->data[at % m->len] ^= vly_rd_u8(&f->in);
}

/* Cuts it, or puts bytes of the input behind it. */
static void resize(struct fuzz *f, struct shake_message *m)
{
    size_t len = vly_rd_u16(&f->in) % VLY_HANDSHAKE_MAX;
    struct vly_span more;

    if (len > m->len) {
        more = vly_rd_bytes(&f->in, len - m->len);
        if (more.len > 0)
            memcpy(m->data + m->len, more.data, more.len);
        len = m->len + more.len;
    }
    m->len = len;
}

static void act(struct fuzz *f)
{
    uint8_t what = vly_rd_u8(&f->in);
    struct shake_message m = f->truth;

    switch ((enum action)(what % N_ACTIONS)) {
    case DELIVER:
    case N_ACTIONS:
        break;
    case CHANGE:
        change(f, &m);
        break;
    case RESIZE:
        resize(f, &m);
        break;
    case RAW:
        m.len = 0;
        resize(f, &m);
        break;
    }
    if (what & 0x80)
        reflect(f, &m);
    else
        deliver(f, &m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum vly_method methods[] = {VLY_METHOD_KEYS, VLY_METHOD_PSK, VLY_METHOD_CODE};
    struct fuzz f = {.in = vly_rd_init(data, size)};
    enum vly_method method = methods[vly_rd_u8(&f.in) % 3];

    shake_init(&f.s, method, 1);
    shake_start(&f.s);
    f.n_messages = shake_messages(method);
    make(&f);
    while (vly_rd_left(&f.in) > 0 && f.nth < f.n_messages)
        act(&f);
    if (f.misled) {
        require(!vly_handshake_is_done(f.s.end[0]) && !vly_handshake_is_done(f.s.end[1]));
    } else {
        while (f.nth < f.n_messages)
            deliver(&f, &f.truth);
        require(shake_finish(&f.s, f.nth) == 0);
    }
    shake_fini(&f.s);
    return 0;
}
