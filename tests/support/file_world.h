/*
 * file_world - a file server and a file client on a fake link, in a temporary directory with root/
 * (served) and out/ (the client's).
 *
 * Fails the running test when it cannot do its work, and, at its end, when anything was left
 * behind: temporary files, sessions, credit, streams.
 */
#ifndef VLY_TESTS_FILE_WORLD_H
#define VLY_TESTS_FILE_WORLD_H

#include "file/client.h"
#include "file/server.h"
#include "support/fake_link.h"
#include "support/tmpdir.h"

#define WORLD_NAMES_MAX 400

struct file_world {
    struct tmpdir *dir;
    struct fake_options fake; /* to be set before fw_start */
    bool writable, force, recursive;
    bool no_server; /* the other end of the link is the test's */
    struct fake_pair *pair;
    struct vly_file_server server;
    struct vly_file_client *client;
    /* what the client was told */
    bool finished;
    struct vly_transfer_stats stats;
    int err;
    char text[VLY_FAULT_TEXT];
    unsigned files_ok, files_failed, notices, progress;
    struct vly_file_progress last; /* its path is not kept */
    char notice[VLY_FAULT_TEXT];
    size_t n_names; /* entries of a listing */
    char names[WORLD_NAMES_MAX][64];
    /* what the server's user was told */
    unsigned connects, disconnects, begins, ends_ok, ends_failed;
    int server_err;
    char server_text[VLY_FAULT_TEXT];
};

void fw_begin(struct file_world *w, void **state);
/* Makes client and session and joins them. Returns the client's refusal, or 0. `where` is beneath
 * the temporary directory for a GET; so are the paths of a PUT. "-" stays as it is. */
int fw_start(struct file_world *w, enum vly_client_verb verb, const char *path, const char *where);
int fw_start_many(struct file_world *w, enum vly_client_verb verb, const char *const *paths,
                  size_t n, const char *where);
/* Until nothing is left to happen. The client has finished then. */
void fw_run(struct file_world *w);
/* Runs until the work is over; for one request from beginning to end. Returns its error. */
int fw_transfer(struct file_world *w, enum vly_client_verb verb, const char *path,
                const char *where);
/* Frees what fw_start made. */
void fw_stop(struct file_world *w);
void fw_end(struct file_world *w);
bool fw_listed(const struct file_world *w, const char *name);

/* cmocka: a temporary directory with root/ and out/ in it. */
int fw_setup(void **state);

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, fw_setup, tmpdir_teardown)

#endif
