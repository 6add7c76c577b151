/*
 * server_fixture - a server whose client is played by the test, with START sent. Fails the running
 * test when something is left behind.
 */
#ifndef VLY_TESTS_SERVER_FIXTURE_H
#define VLY_TESTS_SERVER_FIXTURE_H

#include "support/fake_peer.h"
#include "support/file_world.h"

struct server_fixture {
    struct file_world w; /* its server alone */
    struct fake_pair *pair;
    struct fake_peer *peer;
};

void server_begin_seeded(struct server_fixture *f, void **state, uint64_t seed);
void server_begin(struct server_fixture *f, void **state);
/* Closes, if the server has not, and sees that nothing is left. */
void server_end(struct server_fixture *f);
/* The server closes for a violation of the protocol; ends. */
void server_assert_closes(struct server_fixture *f);

struct vly_msg get_msg(uint64_t request, uint64_t stream, const char *path);
struct vly_msg put_msg(uint64_t request, uint64_t stream, uint64_t size, const char *path);

#endif
