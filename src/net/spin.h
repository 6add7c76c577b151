/*
 * spin - a short wait for a socket before the loop goes to sleep.
 *
 * On a fast path the next datagrams come within microseconds, and to wake a sleeping receiver costs
 * the sender more than the receiver's wait. It is made only where there is a processor to spare,
 * and as long as it mostly pays: a wait in vain costs four that were not, and after enough of those
 * only one idle turn in 64 tries again. Ends that encrypt do not wait: measured, they are slower
 * when they do (bench/RESULTS.md).
 */
#ifndef VLY_NET_SPIN_H
#define VLY_NET_SPIN_H

#include <volley/base.h>

#define VLY_SPIN_NS VLY_US(20)

struct vly_spin {
    bool allowed;
    unsigned credit;  /* 0: it has not paid of late */
    unsigned skipped; /* turns since the last try, while there is no credit */
};

/* Not allowed: never waits; else where this process may run on more than one processor. */
void vly_spin_init(struct vly_spin *s, bool allowed);
/* Waits until `fd` is readable, for VLY_SPIN_NS at most, or not at all; returns whether it is. */
bool vly_spin_wait(struct vly_spin *s, int fd);
/* The bookkeeping: whether to try in this turn, and what came of it. */
bool vly_spin_is_due(struct vly_spin *s);
void vly_spin_note(struct vly_spin *s, bool paid);

#endif
