/*
 * conntab - the connections of an endpoint: by their own id, and by deadline.
 *
 * Ids are random or keyed hashes, so that the table can use their bits as they are: nobody outside
 * can make them collide. Cost: look-up O(1), a changed deadline O(log n). Table and heap grow
 * together.
 */
#ifndef VLY_PROTO_CONNTAB_H
#define VLY_PROTO_CONNTAB_H

#include <volley/base.h>

struct vly_conn;

struct vly_conntab {
    const struct vly_alloc *alloc; /* borrowed */
    struct vly_conn **slots;       /* owned table of owned connections; open addressing */
    size_t cap, n;
    struct vly_conn **heap; /* owned; those with a deadline */
    size_t heap_n;
};

void vly_conntab_init(struct vly_conntab *t, const struct vly_alloc *alloc);
/* Frees all connections too. */
void vly_conntab_fini(struct vly_conntab *t);
/* NULL when there is none of that id. */
struct vly_conn *vly_conntab_find(const struct vly_conntab *t, uint64_t cid);
/* Makes room for one more; then adding it cannot fail. Returns 0 or VLY_E_NOMEM. */
VLY_MUST_USE int vly_conntab_reserve(struct vly_conntab *t);
/* Adds it under c->cid, which is not in the table yet. */
void vly_conntab_add(struct vly_conntab *t, struct vly_conn *c);
void vly_conntab_remove(struct vly_conntab *t, struct vly_conn *c);

/* Puts the connection where its present deadline belongs. */
void vly_conntab_update(struct vly_conntab *t, struct vly_conn *c);
/* Takes its deadline off until the next update. */
void vly_conntab_unschedule(struct vly_conntab *t, struct vly_conn *c);
/* A connection whose deadline is not after `now_ns`, NULL when there is none. */
struct vly_conn *vly_conntab_due(const struct vly_conntab *t, uint64_t now_ns);
uint64_t vly_conntab_deadline(const struct vly_conntab *t);

#endif
