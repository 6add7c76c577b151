#include "net/batches.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u /* where they are longer, nothing is lent (udp_splice.c) */
#define STRIDE_BYTES ((sizeof(struct vly_batch) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES)
#define HUGE_PAGE_BYTES (2u << 20)
#define MEMORY_BYTES (HUGE_PAGE_BYTES + VLY_BATCHES * STRIDE_BYTES)

static_assert(VLY_BATCHES <= UINT8_MAX, "slots are counted in bytes");

/* The first batch is all that many programs need: it has small pages. The others stand in huge
 * ones, of which the kernel finds many at once. */
int vly_batches_init(struct vly_batches *b)
{
    uint8_t *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t to_huge;

    *b = (struct vly_batches){0};
    if (memory == MAP_FAILED)
        return VLY_E_NOMEM;
    b->memory = memory;
    to_huge = HUGE_PAGE_BYTES - ((uintptr_t)memory + STRIDE_BYTES) % HUGE_PAGE_BYTES;
    b->first = memory + to_huge % HUGE_PAGE_BYTES;
    (void)madvise(b->first + STRIDE_BYTES, (VLY_BATCHES - 1) * STRIDE_BYTES, MADV_HUGEPAGE);
    for (unsigned slot = VLY_BATCHES - 1; slot > 0; slot--)
        b->free[b->n_free++] = (uint8_t)slot;
    return 0;
}

void vly_batches_fini(struct vly_batches *b)
{
    if (b->memory != NULL)
        munmap(b->memory, MEMORY_BYTES);
    b->memory = NULL;
}

int vly_batches_renew(struct vly_batches *b)
{
    struct vly_batches fresh;
    int err = vly_batches_init(&fresh);

    if (err != 0)
        return err;
    memcpy(vly_batches_now(&fresh), vly_batches_now(b), sizeof(struct vly_batch));
    vly_batches_fini(b);
    *b = fresh;
    return 0;
}

struct vly_batch *vly_batches_now(const struct vly_batches *b)
{
    return (struct vly_batch *)(void *)(b->first + b->now * STRIDE_BYTES);
}

static struct vly_lent_batch *lent_at(struct vly_batches *b, unsigned i)
{
    return &b->lent[(b->lent_head + i) % VLY_BATCHES];
}

static bool take_back(struct vly_batches *b, const struct vly_endpoint *ep,
                      const struct vly_lent_batch *lent)
{
    bool settled = vly_endpoint_has_settled(ep, lent->cid, lent->end_pn);

    if (settled)
        b->free[b->n_free++] = lent->slot;
    return settled;
}

/* A connection that is slow holds its own back, not those of others. */
static void take_back_all(struct vly_batches *b, const struct vly_endpoint *ep)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < b->n_lent; i++) {
        struct vly_lent_batch lent = *lent_at(b, i);

        if (!take_back(b, ep, &lent))
            *lent_at(b, kept++) = lent;
    }
    b->n_lent = kept;
}

bool vly_batches_may_lend(struct vly_batches *b, const struct vly_endpoint *ep)
{
    while (b->n_lent > 0 && take_back(b, ep, lent_at(b, 0))) {
        b->lent_head = (b->lent_head + 1) % VLY_BATCHES;
        b->n_lent--;
    }
    if (b->n_free == 0)
        take_back_all(b, ep);
    return b->n_free > 0;
}

void vly_batches_lend(struct vly_batches *b)
{
    const struct vly_batch *batch = vly_batches_now(b);

    assert(b->n_free > 0);
    b->lent[(b->lent_head + b->n_lent++) % VLY_BATCHES] =
        (struct vly_lent_batch){.slot = b->now, .cid = batch->cid, .end_pn = batch->end_pn};
    b->now = b->free[--b->n_free];
}
