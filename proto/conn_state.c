/*
 * conn_state - a connection's state, and the table of SPEC 3 that says what moves it while it is
 * set up. Whatever the table does not name is ignored.
 */
#include "conn_internal.h"

#include <assert.h>

/* `none`, `same` and START are no states of a connection. */
#define IN_none 0u
#define IN_START 0u
#define IN_HELLO_SENT (1u << VLY_STATE_HELLO_SENT)
#define IN_COOKIE_SENT (1u << VLY_STATE_COOKIE_SENT)
#define IN_ACCEPTED (1u << VLY_STATE_ACCEPTED)
#define IN_OPEN (1u << VLY_STATE_OPEN)
#define NEXT_none (-1)
#define NEXT_same (-1)
#define NEXT_HELLO_SENT VLY_STATE_HELLO_SENT
#define NEXT_COOKIE_SENT VLY_STATE_COOKIE_SENT
#define NEXT_ACCEPTED VLY_STATE_ACCEPTED
#define NEXT_OPEN VLY_STATE_OPEN
#define NEXT_CLOSED VLY_STATE_CLOSED
#define END_client VLY_CLIENT
#define END_server VLY_SERVER

static const struct {
    enum vly_role end;
    unsigned states; /* bit n: state n */
    int next;        /* -1: it stays */
} transitions[] = {
#define VLY_TRANSITION(name, next, end, state, other) \
    [VLY_##name] = {END_##end, IN_##state | IN_##other, NEXT_##next},
#include "handshake_states.def"
#undef VLY_TRANSITION
};

bool vly_conn_may(const struct vly_conn *c, enum vly_transition t)
{
    return c->role == transitions[t].end && (transitions[t].states & 1u << c->state) != 0;
}

void vly_conn_take(struct vly_conn *c, enum vly_transition t, uint64_t now_ns)
{
    assert(vly_conn_may(c, t));
    if (transitions[t].next >= 0)
        vly_conn_set_state(c, (enum vly_conn_state)transitions[t].next, now_ns);
}

void vly_conn_set_state(struct vly_conn *c, enum vly_conn_state state, uint64_t now_ns)
{
    uint64_t abc[3] = {(uint64_t)c->state, (uint64_t)state, c->end.code};

    vly_conn_trace(c, VLY_TRACE_STATE, now_ns, abc);
    if (c->state == VLY_STATE_ACCEPTED)
        vly_half_open_remove(c->sh, c);
    c->state = state;
}
