/*
 * secret - memory for keys: locked, left out of core dumps, wiped when freed.
 *
 * Arenas of 64 KiB, aligned to their size so that a slot finds its own; within one, units of 64
 * bytes and a bit for each. What is larger than an arena gets pages of its own. Where the limit
 * on locked memory is too small the memory is used unlocked, which vly_secrets_are_locked tells.
 *
 * Invariant: a free unit holds zeros. The list of arenas starts with the one used last.
 * Cost: some ten nanoseconds while that one has room; else a look at each arena.
 */
#include "crypto/backend.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#define UNIT_BYTES 64u
#define ARENA_BYTES (64u * 1024u)
#define ARENA_UNITS (ARENA_BYTES / UNIT_BYTES)

/* Stands in the first units of its arena. */
struct arena {
    struct arena *next;
    size_t free_units;
    uint8_t used[ARENA_UNITS]; /* 1: this unit is taken */
};

#define HEAD_UNITS ((sizeof(struct arena) + UNIT_BYTES - 1) / UNIT_BYTES)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct arena *arenas;
static atomic_bool some_unlocked;

bool vly_secrets_are_locked(void)
{
    return !atomic_load(&some_unlocked);
}

void vly_secret_wipe(void *p, size_t len)
{
    explicit_bzero(p, len);
}

static size_t units_for(size_t len)
{
    return len == 0 ? 1 : (len + UNIT_BYTES - 1) / UNIT_BYTES;
}

static bool is_large(size_t units)
{
    return units > ARENA_UNITS - HEAD_UNITS;
}

/* Takes `p` out of core dumps and keeps it from being swapped out, as far as the system allows. */
static void protect(void *p, size_t len)
{
    (void)madvise(p, len, MADV_DONTDUMP);
    if (mlock(p, len) != 0)
        atomic_store(&some_unlocked, true);
}

/* Zeroed pages, aligned to ARENA_BYTES. NULL when out of memory. */
static void *pages_new(size_t len)
{
    uint8_t *raw =
        mmap(NULL, len + ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t before;

    if (raw == MAP_FAILED)
        return NULL;
    before = (ARENA_BYTES - (uintptr_t)raw % ARENA_BYTES) % ARENA_BYTES;
    if (before > 0)
        (void)munmap(raw, before);
    (void)munmap(raw + before + len, ARENA_BYTES - before);
    protect(raw + before, len);
    return raw + before;
}

static size_t large_bytes(size_t len)
{
    return (len + ARENA_BYTES - 1) / ARENA_BYTES * ARENA_BYTES;
}

static struct arena *arena_new(void)
{
    struct arena *a = pages_new(ARENA_BYTES);

    if (a == NULL)
        return NULL;
    memset(a->used, 1, HEAD_UNITS);
    a->free_units = ARENA_UNITS - HEAD_UNITS;
    return a;
}

/* The first of `units` free ones in a row, or ARENA_UNITS. */
static size_t find_room(const struct arena *a, size_t units)
{
    size_t run = 0;

    if (a->free_units < units)
        return ARENA_UNITS;
    for (size_t i = HEAD_UNITS; i < ARENA_UNITS; i++) {
        run = a->used[i] != 0 ? 0 : run + 1;
        if (run == units)
            return i + 1 - units;
    }
    return ARENA_UNITS;
}

static void *take(struct arena *a, size_t first, size_t units)
{
    memset(a->used + first, 1, units);
    a->free_units -= units;
    return (uint8_t *)a + first * UNIT_BYTES;
}

/* Finds room and puts its arena first; NULL when out of memory. */
static void *small_new(size_t units)
{
    struct arena **link = &arenas;
    struct arena *a;
    size_t first = ARENA_UNITS;

    for (; *link != NULL; link = &(*link)->next) {
        first = find_room(*link, units);
        if (first < ARENA_UNITS)
            break;
    }
    a = *link;
    if (a != NULL) {
        *link = a->next;
    } else {
        a = arena_new();
        first = HEAD_UNITS;
    }
    if (a == NULL)
        return NULL;
    a->next = arenas;
    arenas = a;
    return take(a, first, units);
}

/* Gives an empty arena back, unless it is the only one. */
static void arena_free_if_empty(struct arena *a)
{
    struct arena **link = &arenas;

    if (a->free_units < ARENA_UNITS - HEAD_UNITS || (arenas == a && a->next == NULL))
        return;
    while (*link != a)
        link = &(*link)->next;
    *link = a->next;
    (void)munmap(a, ARENA_BYTES);
}

void *vly_secret_new(size_t len)
{
    size_t units = units_for(len);
    void *p;

    if (is_large(units))
        return len > SIZE_MAX / 2 ? NULL : pages_new(large_bytes(len));
    pthread_mutex_lock(&lock);
    p = small_new(units);
    pthread_mutex_unlock(&lock);
    return p;
}

void vly_secret_free(void *p, size_t len)
{
    size_t units = units_for(len);
    struct arena *a;
    size_t first;

    if (p == NULL)
        return;
    vly_secret_wipe(p, len);
    if (is_large(units)) {
        (void)munmap(p, large_bytes(len));
        return;
    }
    first = (uintptr_t)p % ARENA_BYTES / UNIT_BYTES;
    a = (struct arena *)(void *)((uint8_t *)p - (uintptr_t)p % ARENA_BYTES);
    assert(first >= HEAD_UNITS && (uintptr_t)p % UNIT_BYTES == 0);
    pthread_mutex_lock(&lock);
    for (size_t i = first; i < first + units; i++) {
        assert(a->used[i] == 1);
        a->used[i] = 0;
    }
    a->free_units += units;
    arena_free_if_empty(a);
    pthread_mutex_unlock(&lock);
}
