/*
 * pmtud - a search over the sizes that paths are likely to have.
 *
 * The longest first, which is right on loopback and in networks of one kind; then the middle of
 * what is left of the table. What lies between two sizes of the table is not looked for: it would
 * cost probes on all paths and gain a few per cent on few.
 */
#include "pmtud.h"

#include "packet.h"

#include <assert.h>
#include <string.h>

/* UDP payloads; rising. The MTU less 28 bytes of headers for IPv4, 48 for IPv6. */
static const uint32_t sizes[] = {
    VLY_DATAGRAM_BASE,
    1232, /* 1280: the least that IPv6 has */
    1352,
    1372, /* 1400, 1420: tunnels */
    1392,
    1412, /* 1420, 1440 or 1460 */
    1432,
    1452, /* 1460: virtual networks; 1480 or 1500 with IPv6 */
    1464, /* 1492: PPPoE */
    1472, /* 1500: Ethernet */
    2016,
    4068, /* 2044: InfiniBand; 4096 */
    8868, /* 8896: virtual networks */
    8952,
    8972, /* 9000: jumbo frames */
    16356,
    32740, /* 16 and 32 KiB */
    65472,
    65487, /* 65520; 65535 and 65536 with IPv6: loopback */
    VLY_DATAGRAM_MAX,
};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

#define WAIT_NS VLY_S(1) /* after a second fall, doubled for each more */

/* What to try next: above what passes, below what failed; 0 when there is nothing. */
static uint32_t candidate(const struct vly_pmtud *p)
{
    size_t begin = 0, end = SIZES;

    if (p->size_bytes >= p->max_bytes)
        return 0;
    if (p->failed_bytes > p->max_bytes)
        return p->max_bytes;
    while (begin < SIZES && sizes[begin] <= p->size_bytes)
        begin++;
    while (end > 0 && sizes[end - 1] >= p->failed_bytes)
        end--;
    return begin < end ? sizes[begin + (end - begin) / 2] : 0;
}

/* A size is settled: on to the next one. */
static void advance(struct vly_pmtud *p, uint64_t now_ns)
{
    p->probing = false;
    p->tries = 0;
    p->probe_bytes = 0;
    p->due_ns = now_ns;
    if (candidate(p) == 0) {
        p->state = VLY_PMTUD_DONE;
        p->due_ns = vly_time_add(now_ns, VLY_PMTUD_RAISE_NS);
    }
}

void vly_pmtud_init(struct vly_pmtud *p, uint32_t start_bytes, uint32_t max_bytes)
{
    assert(start_bytes >= VLY_DATAGRAM_BASE && max_bytes <= VLY_DATAGRAM_MAX);
    memset(p, 0, sizeof(*p));
    p->size_bytes = start_bytes;
    p->large_bytes = UINT32_MAX;
    if (max_bytes == 0)
        return;
    p->max_bytes = max_bytes > start_bytes ? max_bytes : start_bytes;
    p->failed_bytes = p->max_bytes + 1;
    p->state = VLY_PMTUD_SEARCHING;
    vly_pmtud_set_used(p, start_bytes);
    advance(p, 0);
}

uint32_t vly_pmtud_next_bytes(struct vly_pmtud *p, uint64_t now_ns)
{
    if (!vly_pmtud_is_due(p, now_ns))
        return 0;
    if (p->state == VLY_PMTUD_DONE) { /* the path may have become another */
        p->falls = 0;
        p->failed_bytes = p->max_bytes + 1;
        p->state = VLY_PMTUD_SEARCHING;
    }
    if (p->probe_bytes == 0)
        p->probe_bytes = candidate(p);
    if (p->probe_bytes == 0)
        advance(p, now_ns);
    return p->probe_bytes;
}

void vly_pmtud_on_sent(struct vly_pmtud *p, uint64_t pn, uint64_t lost_ns)
{
    assert(p->state == VLY_PMTUD_SEARCHING && !p->probing && p->probe_bytes > p->size_bytes);
    p->probing = true;
    p->probe_pn = pn;
    p->due_ns = lost_ns;
}

void vly_pmtud_on_acked(struct vly_pmtud *p, uint64_t now_ns)
{
    assert(p->probing);
    p->size_bytes = p->probe_bytes;
    /* Losses of longer packets than now, from before, say nothing. */
    p->large_acked_end = p->probe_pn + 1;
    p->large_lost = 0;
    advance(p, now_ns);
}

void vly_pmtud_on_lost(struct vly_pmtud *p, uint64_t now_ns)
{
    assert(p->probing);
    if (p->tries + 1 >= VLY_PMTUD_TRIES) {
        vly_pmtud_on_refused(p, p->probe_bytes, now_ns);
        return;
    }
    p->tries++;
    p->probing = false;
    p->due_ns = now_ns;
}

void vly_pmtud_on_refused(struct vly_pmtud *p, uint32_t bytes, uint64_t now_ns)
{
    if (bytes < p->failed_bytes && bytes > VLY_DATAGRAM_BASE)
        p->failed_bytes = bytes;
    if (p->probing && p->probe_bytes >= p->failed_bytes)
        advance(p, now_ns);
}

void vly_pmtud_set_used(struct vly_pmtud *p, uint32_t used_bytes)
{
    uint32_t half = used_bytes / 2;

    p->large_bytes = (half > VLY_DATAGRAM_BASE ? half : VLY_DATAGRAM_BASE) + 1;
}

bool vly_pmtud_note_lost(struct vly_pmtud *p, uint64_t pn, uint32_t bytes, uint64_t sent_ns,
                         uint64_t span_ns)
{
    if (p->state == VLY_PMTUD_OFF || bytes < p->large_bytes || pn < p->large_acked_end)
        return false;
    if (p->large_lost++ == 0)
        p->large_first_ns = sent_ns;
    return p->large_lost >= VLY_PMTUD_LARGE_LOST &&
           vly_time_since(sent_ns, p->large_first_ns) >= span_ns;
}

bool vly_pmtud_fall_back(struct vly_pmtud *p, uint64_t pn, uint64_t now_ns)
{
    uint64_t wait_ns = 0;

    if (p->state == VLY_PMTUD_OFF || p->size_bytes <= VLY_DATAGRAM_BASE)
        return false;
    /* It may only have been an outage: the first time the old size is tried again at once. */
    if (p->falls > 0)
        wait_ns = p->falls < 10 ? WAIT_NS << p->falls : VLY_PMTUD_RAISE_NS;
    p->falls++;
    p->size_bytes = VLY_DATAGRAM_BASE;
    p->probing = false;
    p->tries = 0;
    p->probe_bytes = 0;
    p->large_lost = 0;
    p->state = VLY_PMTUD_BASE;
    p->base_pn = pn;
    p->due_ns = vly_time_add(now_ns, wait_ns);
    vly_pmtud_set_used(p, VLY_DATAGRAM_BASE);
    return true;
}
