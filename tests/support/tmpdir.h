/*
 * tmpdir - a directory of a test's own, with files in it. Fails the running test when it cannot do
 * its work.
 *
 * Paths are relative to the directory; "" is the directory itself.
 */
#ifndef VLY_TESTS_TMPDIR_H
#define VLY_TESTS_TMPDIR_H

#include "support/support.h"

#include <stdbool.h>
#include <sys/stat.h>

struct tmpdir {
    char path[64];
};

/* cmocka's setup and teardown: *state is the struct tmpdir. */
int tmpdir_setup(void **state);
int tmpdir_teardown(void **state);

/* The path from the root of the file system; static, good for the next seven calls. */
const char *tmpdir_at(const struct tmpdir *d, const char *path);
void tmpdir_mkdir(const struct tmpdir *d, const char *path);
void tmpdir_write(const struct tmpdir *d, const char *path, const void *data, size_t len);
/* Random bytes from a seed. */
void tmpdir_fill(const struct tmpdir *d, const char *path, size_t len, uint64_t seed);
bool tmpdir_exists(const struct tmpdir *d, const char *path);
struct stat tmpdir_stat(const struct tmpdir *d, const char *path);
/* The content; owned by the caller, *len bytes and a NUL. */
char *tmpdir_read(const struct tmpdir *d, const char *path, size_t *len);
void tmpdir_assert_content(const struct tmpdir *d, const char *path, const char *text);
void tmpdir_assert_same(const struct tmpdir *d, const char *a, const char *b);
/* How many entries there are in it, of all kinds; `temps`: of transfers under way alone, at any
 * depth. */
size_t tmpdir_count(const struct tmpdir *d, const char *path);
size_t tmpdir_count_temps(const struct tmpdir *d);

/* The name of the only entry; owned by the caller. */
char *tmpdir_only_entry(const struct tmpdir *d);
/* Removes a directory with all below it. */
void tmpdir_remove_all(const struct tmpdir *d, const char *path);

#endif
