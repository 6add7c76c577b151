/*
 * send - see send.h.
 *
 * Invariant: `turn` is NULL or in the ring; a sender in the ring has a source and its stream is not
 * ended.
 */
#include "file/send.h"

#include <assert.h>
#include <string.h>

#define TURN_BYTES (256u << 10)
#define SCRATCH_BYTES (64u << 10)
#define HASHES_AT_ONCE 16u /* chunks; so a damaged one is known soon */

void vly_sender_init(struct vly_sender *s, struct vly_source *source, uint64_t request,
                     uint64_t stream, void *ctx)
{
    *s = (struct vly_sender){.source = source, .request = request, .stream = stream, .ctx = ctx};
    vly_hash_init(&s->hash);
}

static void take_out(struct vly_sender *s)
{
    struct vly_senders *set = s->set;

    if (set == NULL)
        return;
    if (set->turn == s)
        set->turn = s->next != s ? s->next : NULL;
    s->prev->next = s->next;
    s->next->prev = s->prev;
    s->set = NULL;
}

void vly_sender_fini(struct vly_sender *s)
{
    take_out(s);
    vly_source_close(s->source);
    s->source = NULL;
    vly_hash_fini(&s->hash);
}

void vly_sender_start(struct vly_senders *set, struct vly_sender *s)
{
    assert(s->set == NULL && s->source != NULL);
    s->set = set;
    if (set->turn == NULL) {
        s->next = s->prev = set->turn = s;
    } else {
        s->next = set->turn;
        s->prev = set->turn->prev;
        s->prev->next = s->next->prev = s;
    }
    vly_senders_pump(set);
}

/* Sends the hashes that are complete but not sent: all, or only when there are enough. */
static void send_hashes(struct vly_sender *s, bool all)
{
    while (s->hash.n - s->hashes_sent >= (all ? 1u : HASHES_AT_ONCE)) {
        size_t count = s->hash.n - s->hashes_sent;
        struct vly_msg m = {.type = VLY_MSG_HASHES, .request = s->request};

        count = count < VLY_MSG_HASHES_MAX ? count : VLY_MSG_HASHES_MAX;
        m.first = s->hashes_sent;
        m.count = count;
        m.hashes.data = s->hash.chunks[s->hashes_sent];
        m.hashes.len = count * VLY_HASH_BYTES;
        vly_ctl_send(s->set->ctl, &m);
        s->hashes_sent += count;
    }
}

static int send_end(struct vly_sender *s, struct vly_fault *why)
{
    struct vly_msg m = {.type = VLY_MSG_END, .request = s->request, .size = s->hash.bytes};
    int err;

    if ((err = vly_hash_end(&s->hash)) != 0 || (err = vly_hash_root(&s->hash, m.root)) != 0)
        return vly_fault_plain(why, err);
    send_hashes(s, true);
    vly_ctl_send(s->set->ctl, &m);
    return 0;
}

/* Bytes that went from the file to the link still have to be seen for their hash. What the link
 * took is a promise that cannot be taken back: a source that fails now ends without END
 * (SPEC 10.3). */
static int hash_sent(struct vly_sender *s, size_t total, bool *last, struct vly_fault *why)
{
    static _Thread_local uint8_t scratch[SCRATCH_BYTES];

    while (total > 0) {
        size_t len = total < sizeof scratch ? total : sizeof scratch;
        int err = vly_source_read_waiting(s->source, scratch, &len, last, why);

        if (err != 0)
            return err;
        err = vly_hash_update(&s->hash, (struct vly_span){.data = scratch, .len = len});
        if (err != 0)
            return vly_fault_plain(why, err);
        total -= len;
    }
    return 0;
}

/* The same as step, without a copy on the content's way out. */
static int step_file(struct vly_sender *s, size_t wanted, size_t *moved, bool *last,
                     struct vly_fault *why)
{
    struct vly_link *link = s->set->link;
    struct vly_file_range range = {.fd = s->source->file_fd, .offset = s->sent_bytes};
    uint64_t left = s->source->size_bytes - s->sent_bytes;
    size_t len = wanted < left ? wanted : (size_t)left;
    int err;

    *moved = 0;
    if (!vly_source_is_at_hand(s->source, len))
        return VLY_E_AGAIN;
    err = link->ops->send_file(link, s->stream, &range, &len, len == left);
    if (err == VLY_E_AGAIN || err == VLY_E_STATE)
        return VLY_E_AGAIN;
    if (err != 0)
        return vly_fault_plain(why, err);
    if ((err = hash_sent(s, len, last, why)) != 0)
        return err;
    s->sent_bytes += len;
    *moved = len;
    send_hashes(s, false);
    return *last ? send_end(s, why) : 0;
}

/* Moves one piece of content. *moved bytes; *last: it ended. VLY_E_AGAIN: no room, or nothing to
 * read. */
static int step(struct vly_sender *s, size_t wanted, size_t *moved, bool *last,
                struct vly_fault *why)
{
    struct vly_link *link = s->set->link;
    uint8_t *ptr;
    size_t len = wanted;
    int err;

    if (link->ops->send_file != NULL && s->source->file_fd >= 0 && s->source->size_bytes > 0)
        return step_file(s, wanted, moved, last, why);
    *moved = 0;
    err = link->ops->reserve(link, s->stream, &ptr, &len);
    if (err == VLY_E_AGAIN || err == VLY_E_STATE) /* STATE: on_stopped or on_closed is on its way */
        return VLY_E_AGAIN;
    if (err != 0)
        return vly_fault_plain(why, err);
    if ((err = vly_source_read(s->source, ptr, &len, last, why)) != 0)
        return err;
    if ((err = vly_hash_update(&s->hash, (struct vly_span){.data = ptr, .len = len})) != 0 ||
        (err = link->ops->commit(link, s->stream, len, *last)) != 0)
        return vly_fault_plain(why, err);
    s->sent_bytes += len;
    *moved = len;
    send_hashes(s, false);
    return *last ? send_end(s, why) : 0;
}

enum turn { TURN_OVER, TURN_BLOCKED, TURN_ENDED };

static enum turn take_turn(struct vly_sender *s, struct vly_fault *why)
{
    size_t total = 0, moved;
    bool last = false;
    int err = 0;

    while (err == 0 && !last && total < TURN_BYTES) {
        err = step(s, TURN_BYTES - total, &moved, &last, why);
        total += moved;
    }
    if (err == 0)
        why->err = 0;
    if (last || (err != 0 && err != VLY_E_AGAIN))
        return TURN_ENDED;
    return total > 0 ? TURN_OVER : TURN_BLOCKED;
}

/* Gives each sender its turn until `blocked` ones in a row are all there are. */
static void pump_round(struct vly_senders *set)
{
    struct vly_sender *first_blocked = NULL;
    struct vly_fault why;

    while (set->link != NULL && set->turn != NULL && set->turn != first_blocked) {
        struct vly_sender *s = set->turn;
        enum turn turn = take_turn(s, &why);

        set->turn = s->next;
        if (turn != TURN_BLOCKED)
            first_blocked = NULL;
        else if (first_blocked == NULL)
            first_blocked = s;
        if (turn == TURN_ENDED) {
            take_out(s);
            set->events->on_sent(s->ctx, why.err != 0 ? &why : NULL);
        } else if (turn == TURN_OVER) {
            set->events->on_progress(s->ctx, s->sent_bytes);
        }
    }
}

void vly_senders_pump(struct vly_senders *set)
{
    set->again = true;
    if (set->pumping) /* called from an event of its own */
        return;
    set->pumping = true;
    while (set->again) {
        set->again = false;
        pump_round(set);
    }
    set->pumping = false;
}
