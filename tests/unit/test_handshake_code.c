/*
 * handshake: a stranger in the server's place who guesses at the client's code. SPEC 3.1: each run
 * of CPace is one guess, on either side.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "proto/conn_internal.h"
#include "proto/seal.h"
#include "support/pair.h"

#define FALSE_CID 0x5555u

static struct pair_side *client(struct pair *p)
{
    return &p->side[PAIR_CLIENT];
}

/* A client that has sent its HELLO with a cookie, which it had of a true server; in `datagram`. */
static struct pair *at_the_cookie(struct pair_datagram *datagram)
{
    const struct vly_endpoint_config c = pair_sealed(PAIR_CLIENT, VLY_METHOD_CODE);
    const struct vly_endpoint_config s = pair_sealed(PAIR_SERVER, VLY_METHOD_CODE);
    struct pair *p = pair_new(&c, &s);

    pair_begin(p);
    pair_flush(p, PAIR_CLIENT);
    pair_deliver(p, PAIR_CLIENT);
    pair_flush(p, PAIR_SERVER);
    pair_deliver(p, PAIR_SERVER);
    assert_int_equal(pair_flush(p, PAIR_CLIENT), 1);
    *datagram = client(p)->out[0];
    datagram->data = test_exact_copy(datagram->data, datagram->len);
    pair_drop(p, PAIR_CLIENT);
    return p;
}

/* Answers the HELLO as a server that has this code. */
static void guess(struct pair *p, const struct pair_datagram *d, const char *code)
{
    struct vly_credentials credentials = {.method = VLY_METHOD_CODE};
    const struct vly_crypto *crypto = &p->side[PAIR_SERVER].crypto;
    uint8_t prologue[VLY_HANDSHAKE_PROLOGUE_MAX], read[VLY_HANDSHAKE_MAX], text[64];
    uint8_t message[VLY_HANDSHAKE_MAX], packet[1200];
    struct vly_wr m = vly_wr_init(message, sizeof(message)), t = vly_wr_init(text, sizeof(text));
    struct vly_wr w = vly_wr_init(packet, sizeof(packet));
    struct vly_accept accept = {
        .server_cid = FALSE_CID, .version = VLY_VERSION_1, .suite = crypto->sealed[0]->id};
    struct vly_handshake *h;
    struct vly_hello hello;
    size_t len;

    credentials.code_len = (uint8_t)strlen(code);
    memcpy(credentials.code, code, strlen(code));
    assert_int_equal(vly_hello_decode(&hello, (struct vly_span){d->data, d->len - VLY_TAG_BYTES}),
                     0);
    len = vly_handshake_prologue(&hello, VLY_METHOD_CODE, prologue);
    assert_int_equal(vly_handshake_new(&h, crypto, VLY_HANDSHAKE_SERVER, &credentials,
                                       (struct vly_span){prologue, len}),
                     0);
    assert_int_equal(
        vly_handshake_read(h, (struct vly_span){hello.handshake.data + 1, hello.handshake.len - 1},
                           read, &len),
        0);
    vly_wr_u32(&t, accept.version);
    vly_wr_u8(&t, accept.suite);
    vly_wr_u64(&t, accept.server_cid);
    assert_int_equal(vly_handshake_write(h, (struct vly_span){text, vly_wr_len(&t)}, &m), 0);
    vly_handshake_free(h);
    accept.client_cid = hello.client_cid;
    accept.handshake = (struct vly_span){message, vly_wr_len(&m)};
    vly_accept_encode(&w, &accept);
    vly_seal_one(&vly_suite_plain, NULL, 0, packet, vly_wr_len(&w), vly_wr_len(&w));
    pair_give(p, PAIR_CLIENT, &p->side[PAIR_SERVER].addr, VLY_ECN_NONE,
              (struct vly_span){packet, vly_wr_len(&w) + VLY_TAG_BYTES});
}

/* With fewer wrong guesses than a code has lives the right one still counts; after them the client
 * has given up, and no guess finds the code. */
static void test_handshake_code_guesses_at_the_client(void **state)
{
    (void)state;
    for (unsigned wrong = 0; wrong <= 2 * VLY_CODE_FAILURES_MAX; wrong++) {
        bool dead = wrong >= VLY_CODE_FAILURES_MAX;
        struct pair_datagram hello;
        struct pair *p = at_the_cookie(&hello);
        char code[16];

        for (unsigned i = 0; i < wrong; i++) {
            (void)snprintf(code, sizeof(code), "%u-guitars", 100 + i);
            guess(p, &hello, code);
        }
        guess(p, &hello, "7-guitars"); /* sealed_credentials' */
        assert_string_equal(client(p)->log, dead ? "X" : "C");
        if (dead)
            assert_int_equal(client(p)->last[VLY_EV_CLOSED].err, VLY_E_AUTH);
        free(hello.data);
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_code_guesses_at_the_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
