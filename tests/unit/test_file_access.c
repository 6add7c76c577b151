/*
 * What the key that a client has shown lets it do: its rights, its directory, or the way out.
 */
#include "crypto/keytext.h"
#include "support/server_fixture.h"

#include <stdlib.h>
#include <string.h>

enum { R = VLY_RIGHT_READ, W = VLY_RIGHT_WRITE, RW = VLY_RIGHT_READ | VLY_RIGHT_WRITE };

static const uint8_t key[VLY_PUBLIC_KEY_BYTES] = {1};
static const uint8_t other_key[VLY_PUBLIC_KEY_BYTES] = {2};

struct setting {
    unsigned rights, others;
    const char *root;     /* of the grant; NULL: the server's */
    const uint8_t *shown; /* by the client; NULL: none */
    bool writable;
};

/* What one client is let do. */
struct outcome {
    bool reads, writes;
    int err;
    uint64_t code;
    char reason[129];
};

static void serve_one(struct server_fixture *f, void **state, const struct setting *s)
{
    struct vly_grant grant = {.rights = s->rights, .root = s->root};
    struct vly_server_options opt = {.grants = &grant, .n_grants = 1, .others = s->others};
    struct vly_fault why;

    memcpy(grant.key, key, sizeof(key));
    fw_begin(&f->w, state);
    assert_int_equal(vly_access_open(&f->w.server.access, &opt, &why), 0);
    f->w.server.writable = s->writable;
    f->pair = fake_pair_new(&(struct fake_options){.seed = 1, .key = {s->shown, NULL}});
    f->peer = malloc(sizeof *f->peer);
    assert_non_null(f->peer);
    peer_begin(f->peer, f->pair, FAKE_CLIENT);
    assert_int_equal(vly_session_start(&f->w.server, fake_pair_link(f->pair, FAKE_SERVER)), 0);
}

static void ask_for_both(struct fake_peer *peer)
{
    peer_send(peer, &(struct vly_msg){.type = VLY_MSG_START, .version = 1});
    peer_send(peer, &(struct vly_msg){.type = VLY_MSG_LIST, .request = 1});
    peer_send(peer, &(struct vly_msg){.type = VLY_MSG_MKDIR,
                                      .request = 2,
                                      .mode = 0755,
                                      .path = {(const uint8_t *)"new", 3}});
}

/* Lists the root, and makes the directory `new` in it. */
static struct outcome try_both(void **state, const struct setting *s)
{
    struct outcome out = {.reads = false};
    struct server_fixture f;

    serve_one(&f, state, s);
    while (!f.peer->open && !f.peer->closed)
        assert_true(fake_step(f.pair));
    if (!f.peer->closed)
        ask_for_both(f.peer);
    fake_run(f.pair);
    out.reads = peer_find(f.peer, VLY_MSG_DONE, 1) != NULL;
    out.writes = peer_find(f.peer, VLY_MSG_DONE, 2) != NULL;
    if (!f.peer->closed && !out.reads)
        peer_assert_error(f.peer, 1, VLY_WIRE_REFUSED);
    if (!f.peer->closed && !out.writes)
        peer_assert_error(f.peer, 2, VLY_WIRE_REFUSED);
    out.err = f.peer->closed ? f.peer->err : 0;
    out.code = f.peer->code;
    memcpy(out.reason, f.peer->reason, sizeof(out.reason));
    server_end(&f);
    return out;
}

static void test_access_rights(void **state)
{
    static const struct {
        struct setting s;
        bool reads, writes;
    } cases[] = {
        {{RW, 0, NULL, key, true}, true, true},
        {{RW, 0, NULL, key, false}, true, false}, /* the server is read-only */
        {{R, 0, NULL, key, true}, true, false},
        {{W, 0, NULL, key, true}, false, true},
        {{R, RW, NULL, key, true}, true, false}, /* a grant takes away as well */
        {{RW, R, NULL, other_key, true}, true, false},
        {{RW, R, NULL, NULL, true}, true, false},
        {{RW, RW, NULL, NULL, true}, true, true},
        {{R, W, NULL, other_key, true}, false, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outcome out = try_both(state, &cases[i].s);

        print_message("  case %zu\n", i);
        assert_int_equal(out.err, 0);
        assert_int_equal(out.reads, cases[i].reads);
        assert_int_equal(out.writes, cases[i].writes);
    }
}

/* It is told which key it has shown; nothing it has asked for is done. */
static void test_access_turned_away(void **state)
{
    const struct setting stranger = {RW, 0, NULL, other_key, true};
    const struct setting nobody = {RW, 0, NULL, NULL, true};
    struct outcome out = try_both(state, &stranger);

    assert_int_equal(out.err, VLY_E_CLOSED);
    assert_int_equal(out.code, VLY_WIRE_REFUSED);
    assert_non_null(strstr(out.reason, vly_fingerprint(other_key).s));
    assert_false(out.reads || out.writes);
    out = try_both(state, &nobody);
    assert_int_equal(out.err, VLY_E_CLOSED);
    assert_int_equal(out.code, VLY_WIRE_REFUSED);
    assert_false(out.reads || out.writes);
    assert_int_equal(tmpdir_count(*state, "root"), 0);
}

/* A grant's directory takes the place of the server's, for good and bad names alike. */
static void test_access_directory_of_its_own(void **state)
{
    const struct tmpdir *d = *state;
    const struct setting s = {RW, RW, tmpdir_at(d, "out"), key, true};
    const struct setting others = {RW, RW, tmpdir_at(d, "out"), other_key, true};
    struct server_fixture f;
    struct vly_msg up;

    assert_true(try_both(state, &s).writes);
    assert_true(tmpdir_exists(d, "out/new"));
    assert_false(tmpdir_exists(d, "root/new"));
    assert_true(try_both(state, &others).writes);
    assert_true(tmpdir_exists(d, "root/new"));
    tmpdir_write(d, "root/secret", "x", 1);
    serve_one(&f, state, &s);
    peer_wait_open(f.peer);
    peer_send(f.peer, &(struct vly_msg){.type = VLY_MSG_START, .version = 1});
    up = get_msg(1, peer_open_stream(f.peer, true), "../root/secret");
    peer_send(f.peer, &up);
    fake_run(f.pair);
    peer_assert_error(f.peer, 1, VLY_WIRE_BAD_NAME);
    server_end(&f);
}

static void test_access_that_cannot_be_opened(void **state)
{
    const struct tmpdir *d = *state;
    struct vly_grant grants[2] = {{.rights = R, .root = tmpdir_at(d, "out")},
                                  {.rights = R, .root = tmpdir_at(d, "missing")}};
    struct vly_server_options opt = {.grants = grants, .n_grants = 2};
    struct vly_access access;
    struct vly_fault why;

    assert_int_equal(vly_access_open(&access, &opt, &why), VLY_E_NOT_FOUND);
    assert_non_null(strstr(why.text, "missing"));
    assert_non_null(strstr(why.text, "SHA256:"));
    opt = (struct vly_server_options){.others = 0};
    assert_int_equal(vly_access_open(&access, &opt, &why), VLY_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_access_rights),
        IN_WORLD(test_access_turned_away),
        IN_WORLD(test_access_directory_of_its_own),
        IN_WORLD(test_access_that_cannot_be_opened),
    };

    return cmocka_run_group_tests_name("file_access", tests, NULL, NULL);
}
