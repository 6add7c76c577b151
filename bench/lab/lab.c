/*
 * lab - two places on this machine with a path between them.
 *
 * A lab in namespaces has a guard: a child that waits for our end, whatever that is, and then kills
 * all that still runs inside. So a lab also dies with a process that was killed.
 */
#include "bench/lab/lab.h"

#include "bench/lab/lab_guard.h"
#include "bench/lab/netdev.h"
#include "bench/lab/netem.h"
#include "bench/lab/netns.h"
#include "bench/lab/tun.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MTU_DEFAULT_BYTES 1500
#define MTU_MIN_BYTES 576 /* what IPv4 asks of a host */
#define MTU_MAX_BYTES 65535
/* A TUN device's own queue has to take any burst: what is dropped and when is the model's matter.
 */
#define TUN_QUEUE_PKTS 65536

struct bench_lab {
    enum bench_lab_kind kind;
    struct bench_netns ns;
    struct bench_linkemu *emulator; /* owned; NULL: none */
    struct bench_lab_guard guard;
};

static const char *const addresses[] = {"10.77.0.1", "10.77.0.2"};

bool bench_lab_has_namespaces(char why[BENCH_WHY_BYTES])
{
    struct bench_netns ns;

    if (bench_netns_open(&ns, why) != 0)
        return false;
    bench_netns_close(&ns);
    return true;
}

/* What has to be done in the namespaces, by a child. */
struct setup {
    const struct bench_netns *ns;
    bool tun;
    bool offloads_off;
    uint32_t mtu_bytes;
};

static int setup_side(const struct setup *s, enum bench_side side, struct bench_netns_answer *out)
{
    int err = 0;

    if (bench_netns_enter(s->ns, side) != 0)
        return bench_netns_fail(out, 0, "cannot enter a network namespace");
    err = bench_netdev_loopback_up(out);
    if (err == 0 && s->tun)
        err = bench_tun_open(out);
    else if (err == 0 && side == BENCH_LEFT)
        err = bench_netdev_make_veth(s->ns->net_fd[BENCH_RIGHT], out);
    if (err == 0 && s->offloads_off)
        err = bench_netdev_offloads_off(out);
    if (err == 0)
        err =
            bench_netdev_configure(addresses[side], s->mtu_bytes, s->tun ? TUN_QUEUE_PKTS : 0, out);
    return err;
}

static void setup(const void *ctx, struct bench_netns_answer *out)
{
    if (setup_side(ctx, BENCH_LEFT, out) == 0)
        (void)setup_side(ctx, BENCH_RIGHT, out);
}

static uint32_t mtu_bytes(const struct bench_lab_spec *spec)
{
    return spec->mtu_bytes != 0 ? spec->mtu_bytes : MTU_DEFAULT_BYTES;
}

/* Makes the namespaces and the devices; tun[] only in an emulated lab. */
static int join(struct bench_lab *lab, const struct bench_lab_spec *spec, int tun[2],
                char why[BENCH_WHY_BYTES])
{
    struct setup s = {&lab->ns, spec->kind == BENCH_LAB_EMULATED && !spec->netem,
                      spec->offloads_off || spec->netem, mtu_bytes(spec)};
    struct bench_netns_answer a;
    int err;

    if (s.mtu_bytes < MTU_MIN_BYTES || s.mtu_bytes > MTU_MAX_BYTES) {
        (void)snprintf(why, BENCH_WHY_BYTES, "an MTU of %u bytes: it has to be %d to %d",
                       s.mtu_bytes, MTU_MIN_BYTES, MTU_MAX_BYTES);
        return VLY_E_INVALID;
    }
    s.offloads_off = s.offloads_off && !s.tun; /* it has none */
    err = bench_netns_open(&lab->ns, why);
    if (err != 0)
        return err;
    bench_netns_call(setup, &s, &a);
    memcpy(why, a.why, BENCH_WHY_BYTES);
    for (unsigned i = 0; i < a.n_fds; i++)
        tun[i] = a.fds[i];
    return a.err;
}

static int open_namespaces(struct bench_lab *lab, const struct bench_lab_spec *spec,
                           char why[BENCH_WHY_BYTES])
{
    int tun[2] = {-1, -1};
    int err = 0;

    if (spec->kind == BENCH_LAB_EMULATED && !spec->netem)
        err = bench_linkemu_new(&lab->emulator, spec, why);
    if (err == 0)
        err = join(lab, spec, tun, why);
    if (err == 0)
        err = bench_lab_guard_start(&lab->guard, &lab->ns, lab->emulator, tun, why);
    if (err == 0 && spec->kind == BENCH_LAB_EMULATED && spec->netem)
        err = bench_netem_apply(lab, spec, mtu_bytes(spec), why);
    for (int i = 0; i < 2; i++)
        if (tun[i] >= 0)
            (void)close(tun[i]);
    return err;
}

int bench_lab_open(struct bench_lab **out, const struct bench_lab_spec *spec,
                   char why[BENCH_WHY_BYTES])
{
    struct bench_lab *lab = calloc(1, sizeof(*lab));
    int err = 0;

    *out = NULL;
    why[0] = '\0';
    if (lab == NULL) {
        (void)snprintf(why, BENCH_WHY_BYTES, "out of memory");
        return VLY_E_NOMEM;
    }
    lab->kind = spec->kind;
    lab->ns = (struct bench_netns){-1, {-1, -1}};
    if (spec->kind != BENCH_LAB_LO)
        err = open_namespaces(lab, spec, why);
    if (err != 0) {
        bench_lab_close(lab);
        return err;
    }
    *out = lab;
    return 0;
}

const char *bench_lab_address(const struct bench_lab *lab, enum bench_side side)
{
    return lab->kind == BENCH_LAB_LO ? "127.0.0.1" : addresses[side];
}

pid_t bench_lab_spawn(const struct bench_lab *lab, enum bench_side side, char *const argv[],
                      const int fds[3], char why[BENCH_WHY_BYTES])
{
    const struct bench_lab_place place = {lab->kind == BENCH_LAB_LO ? NULL : &lab->ns, side};

    return bench_lab_start(&place, argv, fds, why);
}

int bench_lab_emulator_stats(const struct bench_lab *lab, struct bench_linkemu_stats *out)
{
    if (lab->emulator == NULL)
        return VLY_E_STATE;
    bench_linkemu_stats(lab->emulator, out);
    return 0;
}

int bench_lab_counters(const struct bench_lab *lab, struct vly_link_counters out[2])
{
    struct bench_linkemu_stats stats[2];
    int err = bench_lab_emulator_stats(lab, stats);

    for (int i = 0; err == 0 && i < 2; i++)
        out[i] = stats[i].link;
    return err;
}

void bench_lab_signal(const struct bench_lab *lab, int signum)
{
    if (lab->kind != BENCH_LAB_LO)
        (void)bench_netns_signal(&lab->ns, signum);
}

void bench_lab_kill(const struct bench_lab *lab)
{
    if (lab->kind != BENCH_LAB_LO)
        bench_netns_kill(&lab->ns);
}

void bench_lab_close(struct bench_lab *lab)
{
    if (lab == NULL)
        return;
    bench_lab_guard_stop(&lab->guard);
    bench_linkemu_free(lab->emulator);
    bench_netns_close(&lab->ns);
    free(lab);
}
