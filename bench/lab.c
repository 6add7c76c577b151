/*
 * lab - two places on this machine with a path between them.
 *
 * A lab in namespaces has a guard: a child that waits for our end, whatever that is, and then kills
 * all that still runs inside. So a lab also dies with a process that was killed.
 */
#include "bench/lab.h"

#include "bench/lab_guard.h"
#include "bench/netdev.h"
#include "bench/netns.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MTU_DEFAULT_BYTES 1500
#define MTU_MIN_BYTES 576 /* what IPv4 asks of a host */
#define MTU_MAX_BYTES 65535

struct bench_lab {
    enum bench_lab_kind kind;
    struct bench_netns ns;
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
    const struct bench_lab_spec *spec;
    uint32_t mtu_bytes;
};

static int setup_side(const struct setup *s, enum bench_side side, struct bench_netns_answer *out)
{
    int err = 0;

    if (bench_netns_enter(s->ns, side) != 0)
        return bench_netns_fail(out, 0, "cannot enter a network namespace");
    err = bench_netdev_loopback_up(out);
    if (err == 0 && side == BENCH_LEFT)
        err = bench_netdev_make_veth(s->ns->net_fd[BENCH_RIGHT], out);
    if (err == 0 && s->spec->offloads_off)
        err = bench_netdev_offloads_off(out);
    if (err == 0)
        err = bench_netdev_configure(addresses[side], s->mtu_bytes, 0, out);
    return err;
}

static void setup(const void *ctx, struct bench_netns_answer *out)
{
    if (setup_side(ctx, BENCH_LEFT, out) == 0)
        (void)setup_side(ctx, BENCH_RIGHT, out);
}

static int join(struct bench_lab *lab, const struct bench_lab_spec *spec, char why[BENCH_WHY_BYTES])
{
    struct setup s = {&lab->ns, spec, spec->mtu_bytes != 0 ? spec->mtu_bytes : MTU_DEFAULT_BYTES};
    struct bench_netns_answer a;

    if (s.mtu_bytes < MTU_MIN_BYTES || s.mtu_bytes > MTU_MAX_BYTES) {
        (void)snprintf(why, BENCH_WHY_BYTES, "an MTU of %u bytes: it has to be %d to %d",
                       s.mtu_bytes, MTU_MIN_BYTES, MTU_MAX_BYTES);
        return VLY_E_INVALID;
    }
    bench_netns_call(setup, &s, &a);
    memcpy(why, a.why, BENCH_WHY_BYTES);
    return a.err;
}

int bench_lab_open(struct bench_lab **out, const struct bench_lab_spec *spec,
                   char why[BENCH_WHY_BYTES])
{
    struct bench_lab *lab = calloc(1, sizeof(*lab));
    int err;

    *out = NULL;
    why[0] = '\0';
    if (lab == NULL) {
        (void)snprintf(why, BENCH_WHY_BYTES, "out of memory");
        return VLY_E_NOMEM;
    }
    lab->kind = spec->kind;
    lab->ns = (struct bench_netns){-1, {-1, -1}};
    if (spec->kind == BENCH_LAB_EMULATED) {
        (void)snprintf(why, BENCH_WHY_BYTES, "emulated links are not built yet");
        err = VLY_E_NOT_FOUND;
    } else {
        err = spec->kind == BENCH_LAB_LO ? 0 : bench_netns_open(&lab->ns, why);
        if (err == 0 && spec->kind != BENCH_LAB_LO)
            err = join(lab, spec, why);
        if (err == 0 && spec->kind != BENCH_LAB_LO)
            err = bench_lab_guard_start(&lab->guard, &lab->ns, why);
    }
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

int bench_lab_counters(const struct bench_lab *lab, struct vly_link_counters out[2])
{
    (void)lab;
    (void)out;
    return VLY_E_STATE;
}

void bench_lab_close(struct bench_lab *lab)
{
    if (lab == NULL)
        return;
    bench_lab_guard_stop(&lab->guard);
    bench_netns_close(&lab->ns);
    free(lab);
}
