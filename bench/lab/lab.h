/*
 * lab - two places on this machine with a path between them: where the two ends of a run live.
 *
 *     lo        both are this machine, 127.0.0.1
 *     veth      two network namespaces joined by a veth pair
 *     emulated  two network namespaces, a TUN device in each, joined by the simulator's link model
 *
 * Namespaces have no name and die with the last process and descriptor that holds them, so that
 * nothing is left behind however a run ends. Without root they are made in a user namespace of our
 * own.
 */
#ifndef BENCH_LAB_H
#define BENCH_LAB_H

#include <volley/sim.h>

#include "sim/link_model.h"

#include <sys/types.h>

enum bench_lab_kind { BENCH_LAB_LO, BENCH_LAB_VETH, BENCH_LAB_EMULATED };

/* The left side sends unless a run is reversed. */
enum bench_side { BENCH_LEFT, BENCH_RIGHT };

/* A queue that drops early, RFC 8289. */
struct bench_codel {
    bool on;
    uint64_t target_ns, interval_ns; /* 0: 5 ms, 100 ms */
};

struct bench_lab_spec {
    enum bench_lab_kind kind;
    uint32_t mtu_bytes; /* of both ends; 0: 65536 on lo (what it has), else 1500 */
    bool offloads_off;  /* veth: tso, gso, gro off at both ends. Emulated links never have them */
    /* emulated: */
    struct vly_link_spec way[2]; /* [BENCH_LEFT]: from left to right */
    struct bench_codel codel[2];
    const struct vly_link_change
        *changes[2]; /* borrowed during bench_lab_open; times from its return */
    size_t n_changes[2];
    uint64_t seed;
    bool netem; /* by the kernel's tc netem in place of our model, over veth */
};

#define BENCH_WHY_BYTES 256 /* of a line that says what failed, where and what to do */

struct bench_lab;

/* Whether namespaces can be made here; `why` says why not, and what to do. */
bool bench_lab_has_namespaces(char why[BENCH_WHY_BYTES]);
/* Returns 0 or a vly_err with a line in `why`: VLY_E_PERMISSION (no namespaces), VLY_E_INVALID,
 * VLY_E_NOMEM, VLY_E_IO (a device or a call of `ip` failed), VLY_E_NOT_FOUND (no netem, no ip
 * command). */
VLY_MUST_USE int bench_lab_open(struct bench_lab **out, const struct bench_lab_spec *spec,
                                char why[BENCH_WHY_BYTES]);
/* "127.0.0.1", "10.77.0.1": static or the lab's. */
const char *bench_lab_address(const struct bench_lab *lab, enum bench_side side);
/* Starts argv[0] (looked up in PATH; with a '/' it is a path) in a side. in, out, err are the
 * descriptors that become 0, 1, 2 (-1: /dev/null). The child is killed when this process dies,
 * or the thread that called: let that be the main thread.
 * Returns its pid, or a negative vly_err. */
pid_t bench_lab_spawn(const struct bench_lab *lab, enum bench_side side, char *const argv[],
                      const int fds[3], char why[BENCH_WHY_BYTES]);
/* What the emulator's two directions did so far. VLY_E_STATE: not an emulated lab of ours. */
VLY_MUST_USE int bench_lab_counters(const struct bench_lab *lab, struct vly_link_counters out[2]);
/* The same with what the emulator itself did (bench/lab/linkemu.h); out[2]. */
struct bench_linkemu_stats;
VLY_MUST_USE int bench_lab_emulator_stats(const struct bench_lab *lab,
                                          struct bench_linkemu_stats *out);
/* Sends a signal to all processes in the lab's namespaces, whoever started them; kills them all,
 * and also those they start meanwhile. On lo: nothing. */
void bench_lab_signal(const struct bench_lab *lab, int signum);
void bench_lab_kill(const struct bench_lab *lab);
/* Ends the emulator and frees the lab; NULL is allowed. Processes spawned are their starter's to
 * end. */
void bench_lab_close(struct bench_lab *lab);

#endif
