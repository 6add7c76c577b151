#include "support/tmpdir.h"

#include "file/path.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int tmpdir_setup(void **state)
{
    struct tmpdir *d = malloc(sizeof *d);

    assert_non_null(d);
    snprintf(d->path, sizeof d->path, "%s", "/tmp/volley-test-XXXXXX");
    assert_non_null(mkdtemp(d->path));
    *state = d;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Tests take permissions away: root does not mind, others get them back first. */
static int make_writable(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_D || type == FTW_DNR)
        (void)chmod(path, st->st_mode | S_IRWXU);
    return 0;
}

int tmpdir_teardown(void **state)
{
    struct tmpdir *d = *state;

    (void)nftw(d->path, make_writable, 16, FTW_PHYS);
    (void)nftw(d->path, remove_one, 16, FTW_PHYS | FTW_DEPTH);
    free(d);
    return 0;
}

const char *tmpdir_at(const struct tmpdir *d, const char *path)
{
    static char paths[8][4096 + 512];
    static unsigned next;
    char *at = paths[next++ % 8];

    snprintf(at, sizeof paths[0], "%s%s%s", d->path, path[0] != '\0' ? "/" : "", path);
    return at;
}

void tmpdir_mkdir(const struct tmpdir *d, const char *path)
{
    assert_int_equal(mkdir(tmpdir_at(d, path), 0777), 0);
}

void tmpdir_write(const struct tmpdir *d, const char *path, const void *data, size_t len)
{
    FILE *f = fopen(tmpdir_at(d, path), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

void tmpdir_fill(const struct tmpdir *d, const char *path, size_t len, uint64_t seed)
{
    struct vly_prng p;
    uint8_t *data = malloc(len + 1);

    assert_non_null(data);
    vly_prng_init(&p, seed);
    vly_prng_fill(&p, data, len);
    tmpdir_write(d, path, data, len);
    free(data);
}

bool tmpdir_exists(const struct tmpdir *d, const char *path)
{
    struct stat st;

    return lstat(tmpdir_at(d, path), &st) == 0;
}

struct stat tmpdir_stat(const struct tmpdir *d, const char *path)
{
    struct stat st;

    assert_int_equal(lstat(tmpdir_at(d, path), &st), 0);
    return st;
}

char *tmpdir_read(const struct tmpdir *d, const char *path, size_t *len)
{
    FILE *f = fopen(tmpdir_at(d, path), "rb");
    struct stat st;
    size_t size;
    char *data;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    size = (size_t)st.st_size;
    data = malloc(size + 1);
    assert_non_null(data);
    *len = fread(data, 1, size, f);
    assert_int_equal(*len, size);
    data[size] = '\0';
    fclose(f);
    return data;
}

void tmpdir_assert_content(const struct tmpdir *d, const char *path, const char *text)
{
    size_t len;
    char *data = tmpdir_read(d, path, &len);

    assert_string_equal(data, text);
    free(data);
}

void tmpdir_assert_same(const struct tmpdir *d, const char *a, const char *b)
{
    size_t a_len, b_len;
    char *a_data = tmpdir_read(d, a, &a_len), *b_data = tmpdir_read(d, b, &b_len);

    assert_int_equal(a_len, b_len);
    assert_memory_equal(a_data, b_data, a_len);
    free(a_data);
    free(b_data);
}

size_t tmpdir_count(const struct tmpdir *d, const char *path)
{
    DIR *dir = opendir(tmpdir_at(d, path));
    const struct dirent *entry;
    size_t n = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return n;
}

static size_t temps;

static int count_temp(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    temps += vly_is_temp_name(path + ftw->base);
    return 0;
}

size_t tmpdir_count_temps(const struct tmpdir *d)
{
    temps = 0;
    assert_int_equal(nftw(d->path, count_temp, 16, FTW_PHYS), 0);
    return temps;
}

char *tmpdir_only_entry(const struct tmpdir *d)
{
    DIR *dir = opendir(d->path);
    const struct dirent *entry;
    char *name = NULL;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        assert_null(name);
        name = strdup(entry->d_name);
    }
    closedir(dir);
    assert_non_null(name);
    return name;
}

void tmpdir_remove_all(const struct tmpdir *d, const char *path)
{
    assert_int_equal(nftw(tmpdir_at(d, path), remove_one, 16, FTW_PHYS | FTW_DEPTH), 0);
}
