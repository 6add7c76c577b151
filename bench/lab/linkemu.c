/*
 * linkemu - the link emulator: moves IP packets between two TUN devices, in real time.
 */
#include "bench/lab/linkemu.h"

#include "net/clock.h"
#include "sim/heap.h"
#include "sim/packet_pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define BATCH_PKTS 64 /* read before the due ones are looked at again */
#define PACKET_MAX_BYTES 65536
#define STATS_WORDS (sizeof(struct bench_linkemu_stats) / sizeof(uint64_t))

/* What both processes see. Each word is whole; the words of a moment may be of two rounds. */
struct shared {
    _Atomic uint64_t stats[2][STATS_WORDS];
};

struct way {
    struct vly_link_model model;
    struct vly_heap under_way; /* of struct vly_pool_packet */
    struct vly_packet_pool pool;
    int in_fd, out_fd;
    uint64_t begin_ns; /* of the model's time */
    struct bench_linkemu_stats stats;
    _Atomic uint64_t *shared_stats;
    uint8_t packet[PACKET_MAX_BYTES];
};

struct bench_linkemu {
    struct shared *shared; /* owned: a mapping */
    struct way way[2];     /* used by the process that forwards */
};

/* ---- one direction ---- */

static uint64_t way_now_ns(const struct way *w)
{
    return vly_clock_now_ns() - w->begin_ns;
}

/* Sets CE in an IPv4 packet that is ECN-capable (RFC 3168). */
static void mark_ce(uint8_t *packet, size_t len)
{
    size_t head = (packet[0] & 15u) * 4u;
    uint32_t sum = 0;

    if (len < 20 || packet[0] >> 4 != 4 || head > len || (packet[1] & 3u) == 0)
        return;
    packet[1] |= 3u;
    packet[10] = packet[11] = 0;
    for (size_t i = 0; i + 1 < head; i += 2)
        sum += (uint32_t)(packet[i] << 8 | packet[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    packet[10] = (uint8_t)(sum >> 8);
    packet[11] = (uint8_t)sum;
}

static void send_copy(struct way *w, const struct vly_link_copy *copy)
{
    struct vly_pool_packet *p = vly_pool_get(&w->pool, copy->len);

    if (p == NULL) {
        w->stats.memory_dropped_pkts++;
        return;
    }
    p->len = (uint32_t)copy->len;
    memcpy(p->data, w->packet, copy->len);
    if (copy->ce_mark)
        mark_ce(p->data, p->len);
    vly_link_model_damage(copy, p->data);
    if (vly_heap_push(&w->under_way, copy->at_ns, p) != 0) {
        w->stats.memory_dropped_pkts++;
        vly_pool_put(&w->pool, p);
    }
}

/* Reads what waits, a batch at most. Returns whether there may be more. */
static bool take_in(struct way *w)
{
    for (int i = 0; i < BATCH_PKTS; i++) {
        struct vly_link_copy copy[2];
        ssize_t n = read(w->in_fd, w->packet, sizeof(w->packet));
        unsigned copies;

        if (n <= 0)
            return false;
        copies = vly_link_model_offer(&w->model, way_now_ns(w), (size_t)n, copy);
        for (unsigned k = 0; k < copies; k++)
            send_copy(w, &copy[k]);
    }
    return true;
}

static void give_out(struct way *w)
{
    uint64_t now_ns = way_now_ns(w), due_ns;

    while ((due_ns = vly_heap_next_ns(&w->under_way)) <= now_ns) {
        struct vly_pool_packet *p = vly_heap_pop(&w->under_way);
        uint64_t late_ns = now_ns - due_ns;

        if (write(w->out_fd, p->data, p->len) < 0)
            w->stats.refused_pkts++;
        vly_pool_put(&w->pool, p);
        w->stats.late_pkts += late_ns > BENCH_LINKEMU_LATE_NS;
        if (late_ns > w->stats.late_max_ns)
            w->stats.late_max_ns = late_ns;
        now_ns = way_now_ns(w);
    }
}

static void publish(struct way *w)
{
    uint64_t words[STATS_WORDS];

    w->stats.link = w->model.counters;
    memcpy(words, &w->stats, sizeof(words));
    for (size_t i = 0; i < STATS_WORDS; i++)
        atomic_store_explicit(&w->shared_stats[i], words[i], memory_order_relaxed);
}

/* Until a packet comes or one is due. */
static void rest(struct way *w)
{
    struct pollfd in = {.fd = w->in_fd, .events = POLLIN};
    uint64_t due_ns = vly_heap_next_ns(&w->under_way);
    uint64_t wait_ns = vly_time_since(due_ns, way_now_ns(w));
    struct timespec wait = {(time_t)(wait_ns / VLY_S(1)), (long)(wait_ns % VLY_S(1))};

    if (wait_ns > 0)
        (void)ppoll(&in, 1, due_ns == VLY_NEVER ? NULL : &wait, NULL);
}

static void *forward(void *ctx)
{
    struct way *w = ctx;

    for (;;) {
        bool more = take_in(w);

        give_out(w);
        publish(w);
        if (!more)
            rest(w);
    }
    return NULL; /* not reached: gcc 12 asks for it */
}

/* ---- both ---- */

static int way_init(struct way *w, const struct bench_lab_spec *spec, enum bench_side from,
                    char why[BENCH_WHY_BYTES])
{
    struct vly_link_spec link = spec->way[from];
    const char *name = from == BENCH_LEFT ? "from left to right" : "from right to left";
    int err;

    link.codel = link.codel || spec->codel[from].on;
    if (spec->codel[from].on) {
        link.codel_target_ns = spec->codel[from].target_ns;
        link.codel_interval_ns = spec->codel[from].interval_ns;
    }
    err = vly_link_model_init(&w->model, &link, vly_prng_fork(spec->seed, (uint64_t)from));
    if (err != 0)
        (void)snprintf(why, BENCH_WHY_BYTES,
                       "the link %s: a probability is not between 0 and 1, or the queue is too "
                       "large",
                       name);
    for (size_t i = 0; err == 0 && i < spec->n_changes[from]; i++) {
        err = vly_link_model_change(&w->model, &spec->changes[from][i]);
        if (err != 0)
            (void)snprintf(why, BENCH_WHY_BYTES,
                           "the link %s: its changes have to stand in the order of their times, "
                           "at most %d",
                           name, VLY_LINK_CHANGES_MAX);
    }
    return err != 0 ? VLY_E_INVALID : 0;
}

int bench_linkemu_new(struct bench_linkemu **out, const struct bench_lab_spec *spec,
                      char why[BENCH_WHY_BYTES])
{
    struct bench_linkemu *e = calloc(1, sizeof(*e));
    void *shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int err = VLY_E_NOMEM;

    (void)snprintf(why, BENCH_WHY_BYTES, "out of memory");
    if (e != NULL && shared != MAP_FAILED) {
        e->shared = shared;
        err = way_init(&e->way[BENCH_LEFT], spec, BENCH_LEFT, why);
        if (err == 0)
            err = way_init(&e->way[BENCH_RIGHT], spec, BENCH_RIGHT, why);
    } else if (shared != MAP_FAILED) {
        (void)munmap(shared, sizeof(struct shared));
    }
    if (err != 0) {
        bench_linkemu_free(e);
        return err;
    }
    *out = e;
    return 0;
}

int bench_linkemu_start(struct bench_linkemu *e, const int tun[2])
{
    pthread_t thread;

    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    /* A real link does not wait for a core that its endpoints use. Root may ask for that. */
    (void)sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 1});
    for (int from = BENCH_LEFT; from <= BENCH_RIGHT; from++) {
        struct way *w = &e->way[from];

        vly_heap_init(&w->under_way);
        vly_pool_init(&w->pool, BENCH_LINKEMU_MEMORY_BYTES);
        w->in_fd = tun[from];
        w->out_fd = tun[1 - from];
        w->shared_stats = e->shared->stats[from];
        w->begin_ns = vly_clock_now_ns();
        if (pthread_create(&thread, NULL, forward, w) != 0)
            return VLY_E_NOMEM;
        (void)pthread_detach(thread);
    }
    return 0;
}

void bench_linkemu_stats(const struct bench_linkemu *e, struct bench_linkemu_stats out[2])
{
    uint64_t words[STATS_WORDS];

    for (size_t from = 0; from < 2; from++) {
        for (size_t i = 0; i < STATS_WORDS; i++)
            words[i] = atomic_load_explicit(&e->shared->stats[from][i], memory_order_relaxed);
        memcpy(&out[from], words, sizeof(words));
    }
}

void bench_linkemu_free(struct bench_linkemu *e)
{
    if (e == NULL)
        return;
    if (e->shared != NULL)
        (void)munmap(e->shared, sizeof(struct shared));
    free(e);
}
