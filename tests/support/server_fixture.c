#include "support/server_fixture.h"

#include <stdlib.h>
#include <string.h>

void server_begin_seeded(struct server_fixture *f, void **state, uint64_t seed)
{
    fw_begin(&f->w, state);
    f->w.server.writable = true;
    f->pair = fake_pair_new(&(struct fake_options){.seed = seed});
    f->peer = malloc(sizeof *f->peer);
    assert_non_null(f->peer);
    peer_begin(f->peer, f->pair, FAKE_CLIENT);
    assert_int_equal(vly_session_start(&f->w.server, fake_pair_link(f->pair, FAKE_SERVER)), 0);
    peer_wait_open(f->peer);
    peer_send(f->peer, &(struct vly_msg){.type = VLY_MSG_START, .version = 1});
}

void server_begin(struct server_fixture *f, void **state)
{
    server_begin_seeded(f, state, 1);
}

void server_end(struct server_fixture *f)
{
    if (!f->peer->closed)
        f->peer->link->ops->close(f->peer->link, 0, "");
    fake_run(f->pair);
    assert_int_equal(f->w.server.sessions, 0);
    assert_int_equal(f->w.begins, f->w.ends_ok + f->w.ends_failed);
    assert_int_equal(tmpdir_count_temps(f->w.dir), 0);
    peer_end(f->peer);
    free(f->peer);
    fake_pair_free(f->pair);
    fw_end(&f->w);
}

void server_assert_closes(struct server_fixture *f)
{
    fake_run(f->pair);
    assert_true(f->peer->closed);
    assert_int_equal(f->peer->err, VLY_E_CLOSED);
    assert_int_equal(f->peer->code, VLY_WIRE_PROTOCOL);
    assert_true(strlen(f->peer->reason) > 5);
    assert_int_equal(f->w.server_err, VLY_E_PROTOCOL);
    server_end(f);
}

#define STR(s)                                             \
    {                                                      \
        .data = (const uint8_t *)(s), .len = sizeof(s) - 1 \
    }

struct vly_msg get_msg(uint64_t request, uint64_t stream, const char *path)
{
    return (struct vly_msg){.type = VLY_MSG_GET,
                            .request = request,
                            .stream = stream,
                            .path = {.data = (const uint8_t *)path, .len = strlen(path)}};
}

struct vly_msg put_msg(uint64_t request, uint64_t stream, uint64_t size, const char *path)
{
    return (struct vly_msg){.type = VLY_MSG_PUT,
                            .request = request,
                            .stream = stream,
                            .size = size,
                            .mode = 0644,
                            .path = {.data = (const uint8_t *)path, .len = strlen(path)}};
}
