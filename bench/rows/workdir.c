/*
 * workdir - see workdir.h.
 *
 * One at a time: rows are run one after the other. Filling costs about 1 s for each GiB, comparing
 * less; neither is in a time measured.
 */
#include "bench/rows/workdir.h"

#include "cli/quantity.h"
#include "sim/prng.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#define BLOCK_BYTES ((size_t)1 << 20)
#define SPARE_BYTES (UINT64_C(16) << 20) /* left free beside both files */
#define FTW_DESCRIPTORS 16

static struct bench_workdir the; /* the only one; closed while its directory is "" */
static pid_t owner;              /* a child that exits must not remove it */
static uint64_t block[BLOCK_BYTES / sizeof(uint64_t)];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* The directories stay. */
static int remove_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    return type == FTW_D || type == FTW_DP ? (ftw->level > 0 ? rmdir(path) : 0) : remove(path);
}

void bench_workdir_clear(const struct bench_workdir *d)
{
    char path[BENCH_WORKDIR_PATH_BYTES + 16];

    (void)snprintf(path, sizeof(path), "%s/target", d->path);
    (void)nftw(path, remove_file, FTW_DESCRIPTORS, FTW_PHYS | FTW_DEPTH);
}

void bench_workdir_close(void)
{
    if (the.directory[0] == '\0' || owner != getpid())
        return;
    (void)nftw(the.path, remove_one, FTW_DESCRIPTORS, FTW_PHYS | FTW_DEPTH);
    the = (struct bench_workdir){.bytes = 0};
}

static const char *directory_or_default(const char *directory)
{
    const char *tmpdir = getenv("TMPDIR");

    if (directory != NULL)
        return directory;
    if (access("/dev/shm", W_OK) == 0)
        return "/dev/shm";
    return tmpdir != NULL && access(tmpdir, W_OK) == 0 ? tmpdir : "/tmp";
}

static int space_check(const char *directory, uint64_t bytes, char why[BENCH_WHY_BYTES])
{
    struct statvfs fs;
    uint64_t free_bytes;

    if (statvfs(directory, &fs) != 0) {
        (void)snprintf(why, BENCH_WHY_BYTES, "%.128s: %s; choose another directory", directory,
                       strerror(errno));
        return VLY_E_IO;
    }
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (bytes <= (UINT64_MAX - SPARE_BYTES) / 2 && free_bytes >= 2 * bytes + SPARE_BYTES)
        return 0;
    (void)snprintf(why, BENCH_WHY_BYTES,
                   "%.96s has %s free, a file of %s and its copy do not fit; choose another "
                   "directory or size",
                   directory, vly_bytes_text(free_bytes).s, vly_bytes_text(bytes).s);
    return VLY_E_NO_SPACE;
}

static int write_all(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno != EINTR)
            return errno == ENOSPC ? VLY_E_NO_SPACE : VLY_E_IO;
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* One block of random bytes, made different each time by a word in each page, so that nothing can
 * be compressed or found twice. */
static int fill(int fd, uint64_t bytes, const volatile bool *stop, XXH3_state_t *hash)
{
    struct vly_prng prng;
    int err = 0;

    vly_prng_init(&prng, bytes);
    for (size_t i = 0; i < BLOCK_BYTES / sizeof(block[0]); i++)
        block[i] = vly_prng_u64(&prng);
    for (uint64_t left = bytes; left > 0 && err == 0;) {
        size_t len = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
        if (*stop)
            return VLY_E_CANCELLED;
        for (size_t i = 0; i < BLOCK_BYTES / sizeof(block[0]); i += 4096 / sizeof(block[0]))
            block[i] = vly_prng_u64(&prng);
        (void)XXH3_64bits_update(hash, block, len);
        err = write_all(fd, block, len);
        left -= len;
    }
    return err;
}

static int source_make(struct bench_workdir *d, const volatile bool *stop,
                       char why[BENCH_WHY_BYTES])
{
    XXH3_state_t *hash = XXH3_createState();
    int fd = open(d->source, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int err = VLY_E_IO;

    if (hash != NULL && fd >= 0) {
        (void)XXH3_64bits_reset(hash);
        err = fill(fd, d->bytes, stop, hash);
        d->source_hash = XXH3_64bits_digest(hash);
    }
    if (err != 0 && err != VLY_E_CANCELLED)
        (void)snprintf(why, BENCH_WHY_BYTES, "%.160s: %s; choose another directory", d->source,
                       strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    (void)XXH3_freeState(hash);
    return err;
}

static int tree_make(struct bench_workdir *d, char why[BENCH_WHY_BYTES])
{
    char side[BENCH_WORKDIR_PATH_BYTES];

    (void)snprintf(d->path, sizeof(d->path), "%.400s/volley-bench-XXXXXX", d->directory);
    if (mkdtemp(d->path) == NULL) {
        (void)snprintf(why, BENCH_WHY_BYTES, "%.160s: no directory can be made: %s", d->directory,
                       strerror(errno));
        *d = (struct bench_workdir){.bytes = 0};
        return VLY_E_IO;
    }
    for (int i = 0; i < 2; i++) {
        (void)snprintf(side, sizeof(side), "%.480s/%s", d->path, i == 0 ? "source" : "target");
        if (mkdir(side, 0700) != 0) {
            (void)snprintf(why, BENCH_WHY_BYTES, "%.160s: %s", side, strerror(errno));
            return VLY_E_IO;
        }
    }
    (void)snprintf(d->source, sizeof(d->source), "%.480s/source/" BENCH_WORKDIR_FILE, d->path);
    (void)snprintf(d->target, sizeof(d->target), "%.480s/target/" BENCH_WORKDIR_FILE, d->path);
    return 0;
}

int bench_workdir_open(struct bench_workdir **out, const char *directory, uint64_t bytes,
                       const volatile bool *stop, char why[BENCH_WHY_BYTES])
{
    static bool registered;
    int err;

    directory = directory_or_default(directory);
    *out = &the;
    if (strcmp(the.directory, directory) == 0 && the.bytes == bytes)
        return 0;
    bench_workdir_close();
    if (directory[0] == '\0' || strlen(directory) > 400) {
        (void)snprintf(why, BENCH_WHY_BYTES, "the directory's name is empty or too long");
        return VLY_E_INVALID;
    }
    err = space_check(directory, bytes, why);
    if (err != 0)
        return err;
    if (!registered && atexit(bench_workdir_close) == 0)
        registered = true;
    (void)snprintf(the.directory, sizeof(the.directory), "%s", directory);
    the.bytes = bytes;
    owner = getpid();
    err = tree_make(&the, why);
    if (err == 0)
        err = source_make(&the, stop, why);
    if (err != 0)
        bench_workdir_close();
    return err;
}

/* The hash and length of a file. */
static int file_hash(const char *path, const volatile bool *stop, uint64_t *hash, uint64_t *bytes)
{
    XXH3_state_t *state = XXH3_createState();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    *bytes = 0;
    if (state != NULL && fd >= 0) {
        (void)XXH3_64bits_reset(state);
        while (!*stop && (n = read(fd, block, BLOCK_BYTES)) > 0) {
            (void)XXH3_64bits_update(state, block, (size_t)n);
            *bytes += (uint64_t)n;
        }
        *hash = XXH3_64bits_digest(state);
    }
    if (fd >= 0)
        (void)close(fd);
    (void)XXH3_freeState(state);
    if (*stop)
        return VLY_E_CANCELLED;
    return n == 0 ? 0 : VLY_E_IO;
}

int bench_workdir_verify(const struct bench_workdir *d, const volatile bool *stop,
                         char why[BENCH_WHY_BYTES])
{
    uint64_t hash, bytes;
    int err = file_hash(d->target, stop, &hash, &bytes);

    if (err == VLY_E_IO)
        (void)snprintf(why, BENCH_WHY_BYTES, "the copy cannot be read: %s", strerror(errno));
    if (err != 0)
        return err;
    if (bytes != d->bytes) {
        (void)snprintf(why, BENCH_WHY_BYTES, "the copy has the wrong size: %s of %s",
                       vly_bytes_text(bytes).s, vly_bytes_text(d->bytes).s);
        return VLY_E_INTEGRITY;
    }
    if (hash != d->source_hash) {
        (void)snprintf(why, BENCH_WHY_BYTES, "the copy differs from the source");
        return VLY_E_INTEGRITY;
    }
    return 0;
}
