/*
 * Runs a fuzzer without libFuzzer over files, so that every build's test run covers the corpus:
 *   fuzz_x FILE_OR_DIRECTORY...
 * Each input lies in an allocation of exactly its size, where a sanitizer sees an over-read.
 * No input at all is a failure: it would prove nothing.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void fail(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(EXIT_FAILURE);
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    long size;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
        fail(path);
    rewind(file);
    data = malloc((size_t)size);
    if (data == NULL && size > 0)
        fail(path);
    if (fread(data, 1, (size_t)size, file) != (size_t)size)
        fail(path);
    fclose(file);
    printf("%s\n", path);
    fflush(stdout); /* the name stands before whatever the input does */
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
}

/* Runs `path`, or all files beneath it; returns how many. */
static size_t run_path(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    size_t count = 0;

    if (dir == NULL && errno != ENOTDIR)
        fail(path);
    if (dir == NULL) {
        run_file(path);
        return 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        char name[PATH_MAX];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        count += run_path(name);
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    size_t count = 0;

    for (int i = 1; i < argc; i++)
        count += run_path(argv[i]);
    printf("%zu inputs\n", count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
