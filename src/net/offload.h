/*
 * offload - calls that block, run in libuv's thread pool on behalf of a transport, which outlives
 * them.
 */
#ifndef VLY_NET_OFFLOAD_H
#define VLY_NET_OFFLOAD_H

#include <volley/base.h>

#include <uv.h>

/* Who waits for what was offloaded. */
struct vly_offloads {
    uv_loop_t *loop;
    size_t running;
    void (*on_less)(void *owner); /* after each; may free the owner */
    void *owner;
};

/* Runs work(arg) in a thread, then done(arg) in the loop. Returns VLY_E_NOMEM, VLY_E_FAILED. */
VLY_MUST_USE int vly_offload(struct vly_offloads *all, void (*work)(void *arg),
                             void (*done)(void *arg), void *arg);

#endif
