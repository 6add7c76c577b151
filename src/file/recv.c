/*
 * recv - see recv.h.
 *
 * Invariant: once `finishing`, the sink belongs to its thread and nothing here touches it but fini.
 */
#include "file/recv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct early_head {
    uint64_t offset;
    size_t len;
};

void vly_receiver_init(struct vly_receiver *r, struct vly_link *link, uint64_t stream,
                       const struct vly_recv_events *events, void *ctx)
{
    *r = (struct vly_receiver){
        .link = link, .stream = stream, .events = events, .ctx = ctx, .final_bytes = UINT64_MAX};
}

/* Content nobody took gives its credit back. */
static void drop_early(struct vly_receiver *r)
{
    struct early_head head;

    for (size_t pos = 0; pos < r->early.len && r->link != NULL; pos += head.len) {
        memcpy(&head, r->early.data + pos, sizeof head);
        pos += sizeof head;
        r->link->ops->consume(r->link, r->stream, head.len);
    }
    free(r->early.data);
    r->early = (struct vly_recv_early){0};
}

void vly_receiver_fini(struct vly_receiver *r)
{
    drop_early(r);
    vly_sink_close(r->sink);
    free(r->ahead);
    r->sink = NULL;
    r->ahead = NULL;
}

static void fail(struct vly_receiver *r, const struct vly_fault *why)
{
    r->finishing = true; /* whatever still arrives is ignored */
    r->events->on_received(r->ctx, why);
}

static void on_sink_ready(void *ctx)
{
    struct vly_receiver *r = ctx;

    r->events->on_ready(r->ctx);
}

static void on_sink_consumed(void *ctx, uint64_t bytes)
{
    struct vly_receiver *r = ctx;

    if (r->link != NULL)
        r->link->ops->consume(r->link, r->stream, bytes);
}

static void on_sink_finished(void *ctx, const struct vly_fault *why)
{
    fail(ctx, why);
}

const struct vly_sink_events vly_receiver_sink_events = {
    .on_ready = on_sink_ready, .on_consumed = on_sink_consumed, .on_finished = on_sink_finished};

/* Compares a hash with ours. Returns false, and fails, when they differ. */
static bool compare(struct vly_receiver *r, uint64_t chunk, const uint8_t *theirs)
{
    struct vly_fault why;

    if (memcmp(theirs, r->sink->hash.chunks[chunk], VLY_HASH_BYTES) == 0)
        return true;
    vly_fault_set(&why, VLY_E_INTEGRITY, "the content does not match its hash in MiB %llu",
                  (unsigned long long)chunk);
    fail(r, &why);
    return false;
}

/* Compares the chunks that became complete with the hashes that came before them. */
static bool compare_new_chunks(struct vly_receiver *r)
{
    for (; r->checked < r->sink->hash.n; r->checked++) {
        const struct vly_recv_hash *h;

        if (r->ahead == NULL)
            continue;
        h = &r->ahead[r->checked % VLY_RECV_HASHES_AHEAD];
        if (h->chunk_plus_1 == r->checked + 1 && !compare(r, r->checked, h->hash))
            return false;
    }
    return true;
}

static void finish_if_complete(struct vly_receiver *r)
{
    struct vly_fault why;

    if (r->finishing || r->sink == NULL || !r->has_end || r->final_bytes == UINT64_MAX)
        return;
    if (r->end.size_bytes != r->final_bytes ||
        (r->size_bytes != VLY_SIZE_UNKNOWN && r->size_bytes != r->final_bytes)) {
        vly_fault_set(&why, VLY_E_PROTOCOL, "the content is not of the size that was announced");
        fail(r, &why);
        return;
    }
    r->finishing = true;
    vly_sink_finish(r->sink, &r->end);
}

/* Keeps content for the sink to come. It gets no new credit meanwhile, so the window bounds it. */
static int keep_early(struct vly_receiver *r, uint64_t offset, struct vly_span data,
                      struct vly_fault *why)
{
    struct vly_recv_early *e = &r->early;
    size_t needed = e->len + sizeof(struct early_head) + data.len;
    struct early_head head = {.offset = offset, .len = data.len};

    if (needed > VLY_RECV_EARLY_MAX)
        return vly_fault_plain(why, VLY_E_LIMIT);
    if (needed > e->cap) {
        uint8_t *grown = realloc(e->data, needed * 2);

        if (grown == NULL)
            return vly_fault_plain(why, VLY_E_NOMEM);
        e->data = grown;
        e->cap = needed * 2;
    }
    assert(e->data != NULL);
    memcpy(e->data + e->len, &head, sizeof head);
    memcpy(e->data + e->len + sizeof head, data.data, data.len);
    e->len = needed;
    return 0;
}

/* Writes one piece. Content that fails gives its credit back as well: other streams need it. */
static int take(struct vly_receiver *r, uint64_t offset, struct vly_span data,
                struct vly_fault *why)
{
    int err = r->sink != NULL ? vly_sink_write(r->sink, offset, data, why)
                              : keep_early(r, offset, data, why);

    if (err != 0)
        on_sink_consumed(r, data.len);
    else if (r->sink != NULL)
        r->received_bytes += data.len;
    return err;
}

void vly_receiver_on_data(struct vly_receiver *r, uint64_t offset, struct vly_span data)
{
    struct vly_fault why;

    if (r->finishing) {
        on_sink_consumed(r, data.len);
        return;
    }
    if (take(r, offset, data, &why) != 0) {
        fail(r, &why);
        return;
    }
    if (r->sink != NULL && compare_new_chunks(r))
        r->events->on_progress(r->ctx, r->received_bytes);
}

void vly_receiver_set_sink(struct vly_receiver *r, struct vly_sink *sink, uint64_t size_bytes)
{
    struct vly_recv_early early = r->early;
    struct early_head head;
    struct vly_fault why;
    int err = 0;

    r->sink = sink;
    r->size_bytes = size_bytes;
    r->early = (struct vly_recv_early){0};
    for (size_t pos = 0; pos < early.len; pos += head.len) {
        memcpy(&head, early.data + pos, sizeof head);
        pos += sizeof head;
        if (err == 0)
            err = take(r, head.offset, (struct vly_span){.data = early.data + pos, .len = head.len},
                       &why);
        else
            on_sink_consumed(r, head.len);
    }
    free(early.data);
    if (err != 0) {
        fail(r, &why);
        return;
    }
    if (!compare_new_chunks(r))
        return;
    if (r->received_bytes > 0)
        r->events->on_progress(r->ctx, r->received_bytes);
    finish_if_complete(r);
}

void vly_receiver_on_stream_end(struct vly_receiver *r, uint64_t final_bytes)
{
    r->final_bytes = final_bytes;
    finish_if_complete(r);
}

/* Keeps a hash for when its chunk is complete. */
static void keep(struct vly_receiver *r, uint64_t chunk, const uint8_t *hash)
{
    struct vly_recv_hash *h;

    if (chunk - r->sink->hash.n >= VLY_RECV_HASHES_AHEAD)
        return;
    if (r->ahead == NULL && (r->ahead = calloc(VLY_RECV_HASHES_AHEAD, sizeof *r->ahead)) == NULL)
        return; /* the root will tell */
    h = &r->ahead[chunk % VLY_RECV_HASHES_AHEAD];
    h->chunk_plus_1 = chunk + 1;
    memcpy(h->hash, hash, VLY_HASH_BYTES);
}

void vly_receiver_on_hashes(struct vly_receiver *r, const struct vly_msg *m)
{
    if (r->finishing || r->sink == NULL)
        return;
    for (uint64_t i = 0; i < m->count; i++) {
        const uint8_t *hash = m->hashes.data + i * VLY_HASH_BYTES;
        uint64_t chunk = m->first + i;

        if (chunk >= r->sink->hash.n)
            keep(r, chunk, hash);
        else if (!compare(r, chunk, hash))
            return;
    }
}

void vly_receiver_on_end(struct vly_receiver *r, const struct vly_msg *m)
{
    r->has_end = true;
    r->end.size_bytes = m->size;
    memcpy(r->end.root, m->root, sizeof r->end.root);
    finish_if_complete(r);
}
